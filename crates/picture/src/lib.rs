//! Prepares picture files of digits as the images of MNIST were prepared.
//!
//! MNIST's digits are light on black, at most 20 pixels high and wide, with their center of mass in the center of 28 x 28 pixels. This
//! crate makes such an image of a PNG, JPEG or BMP file of any size, dark on light or light on dark.
//!
//! ```
//! # let bmp = {
//! #     let mut bytes = b"BM\x1A\x04\0\0\0\0\0\0\x1A\0\0\0\x0C\0\0\0\x20\0\x20\0\x01\0\x18\0".to_vec();
//! #     bytes.extend((0..32 * 32).flat_map(|i| [if i % 32 == 9 && (8..320).contains(&i) { 0 } else { 255 }; 3]));
//! #     bytes
//! # };
//! // A file with a thin dark line on white.
//! let image = ziffer_picture::prepare(&bmp, [28, 28])?;
//! assert_eq!(image.len(), 28 * 28);
//! assert_eq!((image[0], image[14 * 28 + 14]), (0, 255));
//! # Ok::<(), ziffer_picture::PictureError>(())
//! ```
//!
//! The steps: check the header and decode the file (`file`); reduce it to gray levels, with a background behind transparent pixels
//! (`gray`); estimate the background and subtract it (`background`); remove specks and crop the digit (`digit`); scale and center it
//! (`fit`).
#![forbid(unsafe_code)]

mod background;
mod digit;
mod error;
mod file;
mod fit;
mod gray;
mod limits;

use std::path::Path;

use background::Foreground;
use digit::Digit;
use gray::Gray;

pub use error::PictureError;

/// The digit in the content of a picture file, as an image of bytes `[rows, columns]`, 0 for the background and 255 for strokes. The
/// digit takes 20/28 of the sides of any shape.
///
/// # Errors
/// If the content is not a PNG, JPEG or BMP file, is damaged, has more than 16,384 pixels a side or needs more than 256 MiB according to
/// its header (a progressive JPEG needs three times its decoded size), or has no digit; or if the shape is not rows and columns of 7 to
/// 1024 pixels.
pub fn prepare(bytes: &[u8], shape: [usize; 2]) -> Result<Vec<u8>, PictureError> {
    if shape.iter().any(|side| !(7..=1024).contains(side)) {
        return Err(PictureError::Shape { shape: shape.to_vec() });
    }
    let (image, orientation) = file::decode(bytes)?;
    let gray = Gray::of(&image)?;
    drop(image);
    let digit = Digit::of(&Foreground::of(&gray)?).ok_or(PictureError::EmptyPage)?;
    Ok(fit::fit(&digit.turned(orientation), shape))
}

/// The `[rows, columns]` of a picture file's content according to its header, for callers with a tighter limit than [`prepare`].
///
/// # Errors
/// If the content is not a PNG, JPEG or BMP file, its header is damaged, or the picture is too large to be decoded.
pub fn sides(bytes: &[u8]) -> Result<[u32; 2], PictureError> {
    file::sides(bytes)
}

/// [`prepare`] for a file.
///
/// # Errors
/// Those of [`prepare`]; if the file cannot be read; if it has more than 64 MiB. All errors name the file.
pub fn prepare_file(path: &Path, shape: [usize; 2]) -> Result<Vec<u8>, PictureError> {
    file::read(path)
        .and_then(|bytes| prepare(&bytes, shape))
        .map_err(|error| PictureError::File { path: path.to_owned(), error: Box::new(error) })
}
