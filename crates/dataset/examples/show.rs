//! Prints an IDX file: its header, and its first images as text.
//!
//! ```text
//! cargo run -p ziffer-dataset --example show -- FILE [COUNT]
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing is what this program is for")]

use std::error::Error;
use std::process::ExitCode;

use ndarray::{ArrayView2, Axis, Ix3};
use ziffer_dataset::idx::{IdxError, IdxFile, IdxView};

/// From pixel 0 to pixel 255.
const SHADES: &[u8] = b" .:-=+*#%@";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((path, count)) = parse(&arguments) else {
        eprintln!("usage: show FILE [COUNT], FILE an unpacked IDX file, COUNT the number of images (3)");
        return ExitCode::from(2);
    };
    match show(path, count) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            eprintln!("show: {error}{cause}");
            ExitCode::FAILURE
        }
    }
}

/// The file and the number of images.
fn parse(arguments: &[String]) -> Option<(&str, usize)> {
    match arguments {
        [path] if !path.starts_with('-') => Some((path, 3)),
        [path, count] => Some((path, count.parse().ok()?)),
        _ => None,
    }
}

fn show(path: &str, count: usize) -> Result<(), IdxError> {
    let file = IdxFile::open(path)?;
    println!("{path}: {} values of shape {:?}", file.element_type(), file.shape());
    match file.view() {
        IdxView::U8(values) if values.ndim() == 3 => {
            let images = values.into_dimensionality::<Ix3>().expect("the rank is 3");
            for (index, image) in images.axis_iter(Axis(0)).take(count).enumerate() {
                println!("\nimage {index}\n{}", text_of(image));
            }
        }
        // Labels and others: `count` values.
        IdxView::U8(values) => print_values(&mut values.iter().take(count)),
        IdxView::I8(values) => print_values(&mut values.iter().take(count)),
        IdxView::I16(values) => print_values(&mut values.iter().take(count)),
        IdxView::I32(values) => print_values(&mut values.iter().take(count)),
        IdxView::F32(values) => print_values(&mut values.iter().take(count)),
        IdxView::F64(values) => print_values(&mut values.iter().take(count)),
    }
    Ok(())
}

/// An image as lines of text. A pixel takes two characters, since characters are twice as high as wide.
fn text_of(image: ArrayView2<'_, u8>) -> String {
    let mut text = String::new();
    for row in image.rows() {
        for pixel in row {
            let shade = char::from(SHADES[usize::from(*pixel) * SHADES.len() / 256]);
            text.extend([shade, shade]);
        }
        text.push('\n');
    }
    text
}

fn print_values(values: &mut dyn Iterator<Item = impl std::fmt::Debug>) {
    for (index, value) in values.enumerate() {
        println!("{index}: {value:?}");
    }
}
