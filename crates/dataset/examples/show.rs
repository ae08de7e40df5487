//! Shows an IDX file: its header, and its first pictures as text.
//!
//! ```text
//! cargo run -p ziffer-dataset --example show -- FILE [COUNT]
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing is what this program is for")]

use std::error::Error;
use std::process::ExitCode;

use ndarray::{ArrayView2, Axis, Ix3};
use ziffer_dataset::idx::{IdxError, IdxFile, IdxView};

/// From no ink to full ink.
const SHADES: &[u8] = b" .:-=+*#%@";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((path, count)) = parse(&arguments) else {
        eprintln!("usage: show FILE [COUNT], FILE an unpacked IDX file, COUNT how many of its pictures (3)");
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

/// The file and how many of its pictures to show.
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
            let pictures = values.into_dimensionality::<Ix3>().expect("the rank was just looked at");
            for (index, picture) in pictures.axis_iter(Axis(0)).take(count).enumerate() {
                println!("\npicture {index}\n{}", text_of(picture));
            }
        }
        // Labels and everything else: as many values as pictures.
        IdxView::U8(values) => print_values(&mut values.iter().take(count)),
        IdxView::I8(values) => print_values(&mut values.iter().take(count)),
        IdxView::I16(values) => print_values(&mut values.iter().take(count)),
        IdxView::I32(values) => print_values(&mut values.iter().take(count)),
        IdxView::F32(values) => print_values(&mut values.iter().take(count)),
        IdxView::F64(values) => print_values(&mut values.iter().take(count)),
    }
    Ok(())
}

/// A picture as lines of text, two characters a pixel since characters are twice as high as wide.
fn text_of(picture: ArrayView2<'_, u8>) -> String {
    let mut text = String::new();
    for row in picture.rows() {
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
