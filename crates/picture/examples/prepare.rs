//! Prints picture files as a model takes them:
//!
//! ```console
//! $ cargo run --release -p ziffer-picture --example prepare -- digit.png photo.jpg
//! ```
#![allow(clippy::print_stdout, reason = "the example's own output")]

use std::path::Path;

use ziffer_picture::{PictureError, prepare_file};

fn main() -> Result<(), PictureError> {
    for file in std::env::args_os().skip(1) {
        let image = prepare_file(Path::new(&file), [28, 28])?;
        println!("{}", Path::new(&file).display());
        for row in image.chunks(28) {
            println!(
                "{}",
                row.iter()
                    .map(|pixel| [' ', '.', ':', '+', '#'][usize::from(*pixel) / 52])
                    .collect::<String>()
            );
        }
    }
    Ok(())
}
