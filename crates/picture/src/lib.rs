//! Picture files of digits, prepared as MNIST's own pictures were.
//!
//! A network that has learned MNIST knows digits that are light on black, 20 pixels high or wide, with their centre of mass in
//! the centre of 28x28 pixels. This crate makes that of a PNG, JPEG or BMP file of any size, ink dark or light.
//!
//! ```
//! # let bmp = {
//! #     let mut bytes = b"BM\x1A\x04\0\0\0\0\0\0\x1A\0\0\0\x0C\0\0\0\x20\0\x20\0\x01\0\x18\0".to_vec();
//! #     bytes.extend((0..32 * 32).flat_map(|i| [if i % 32 == 9 && (8..320).contains(&i) { 0 } else { 255 }; 3]));
//! #     bytes
//! # };
//! // A file with a thin dark line on white.
//! let picture = ziffer_picture::prepare(&bmp, [28, 28])?;
//! assert_eq!(picture.len(), 28 * 28);
//! assert_eq!((picture[0], picture[14 * 28 + 14]), (0, 255));
//! # Ok::<(), ziffer_picture::PictureError>(())
//! ```
//!
//! What happens on the way: the header is judged and the file decoded (`file`), made grey, with the paper under what is
//! transparent (`grey`), the paper's tone found and taken away (`paper`), specks left out and the rest cropped (`digit`),
//! scaled and centred (`fit`).
#![forbid(unsafe_code)]

mod digit;
mod error;
mod file;
mod fit;
mod grey;
mod paper;

use std::path::Path;

use digit::Digit;
use grey::Grey;
use paper::Ink;

pub use error::PictureError;

/// Bytes `[rows, columns]`, 0 for paper and 255 for ink, of the digit in a picture file's content. Pictures of other shapes
/// than 28x28 have the digit in the same share of the sides, 20 of 28.
///
/// # Errors
/// If it is no PNG, JPEG or BMP, damaged, too large to be decoded (more than 16,384 pixels a side or 256 MiB, judged by the
/// header alone; a progressive JPEG takes three times what it is decoded to), or an empty page; or if the shape is not rows and
/// columns of 7 to 1024 pixels.
pub fn prepare(bytes: &[u8], shape: [usize; 2]) -> Result<Vec<u8>, PictureError> {
    if shape.iter().any(|side| !(7..=1024).contains(side)) {
        return Err(PictureError::Shape { shape: shape.to_vec() });
    }
    let (image, orientation) = file::decode(bytes)?;
    let grey = Grey::of(&image)?;
    drop(image);
    let digit = Digit::of(&Ink::on(&grey)?).ok_or(PictureError::EmptyPage)?;
    Ok(fit::fit(&digit.turned(orientation), shape))
}

/// The `[rows, columns]` that a picture file's content promises, by its header alone: for who wants fewer than are decoded here.
///
/// # Errors
/// If it is no PNG, JPEG or BMP, its header is damaged, or it has more pixels than are decoded.
pub fn sides(bytes: &[u8]) -> Result<[u32; 2], PictureError> {
    file::sides(bytes)
}

/// As [`prepare`], of a file.
///
/// # Errors
/// As [`prepare`], and if the file cannot be read or has more than 64 MiB; all name the file.
pub fn prepare_file(path: &Path, shape: [usize; 2]) -> Result<Vec<u8>, PictureError> {
    file::read(path)
        .and_then(|bytes| prepare(&bytes, shape))
        .map_err(|error| PictureError::File { path: path.to_owned(), error: Box::new(error) })
}
