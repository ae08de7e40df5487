//! Decoding a picture file. Nothing is allocated before the header is checked.

use std::io::{Cursor, Read};
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use crate::PictureError;
use crate::limits::{MAX_BYTES, MAX_FILE_BYTES, MAX_SIDE};

/// Reads a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, PictureError> {
    let file = std::fs::File::open(path).map_err(PictureError::Read)?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(PictureError::Folder);
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(PictureError::Read)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(PictureError::LargeFile);
    }
    Ok(bytes)
}

/// Decodes a picture. The orientation is how to turn it upright.
pub(crate) fn decode(bytes: &[u8]) -> Result<(DynamicImage, Orientation), PictureError> {
    let (mut decoder, name) = decoder(bytes)?;
    // An unreadable orientation counts as none.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let image = DynamicImage::from_decoder(decoder).map_err(damaged(name))?;
    Ok((image, orientation))
}

/// Rows and columns according to the header.
pub(crate) fn sides(bytes: &[u8]) -> Result<[u32; 2], PictureError> {
    let (width, height) = decoder(bytes)?.0.dimensions();
    Ok([height, width])
}

/// The decoder of a picture after checking its header, and the format's name.
fn decoder(bytes: &[u8]) -> Result<(impl ImageDecoder, &'static str), PictureError> {
    let (format, name) = format(bytes)?;
    let coefficients = match format {
        // The decoder would fill missing pixels with gray.
        ImageFormat::Jpeg => jpeg_coefficients(bytes)
            .ok_or_else(|| PictureError::Damaged { format: name, detail: "it ends too early".to_owned() })?,
        _ => 0,
    };
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(damaged(name))?;
    let (width, height) = decoder.dimensions();
    let held = u64::from(width) * u64::from(height) * coefficients * size_of::<i16>() as u64;
    let bytes = decoder.total_bytes().saturating_add(held);
    if width.max(height) > MAX_SIDE || bytes > MAX_BYTES {
        return Err(PictureError::TooLarge { width, height, bytes });
    }
    Ok((decoder, name))
}

/// The error of a decoder as [`PictureError::Damaged`].
fn damaged(format: &'static str) -> impl Fn(ImageError) -> PictureError {
    move |error| PictureError::Damaged { format, detail: detail(&error) }
}

/// The format by the first bytes. The file's name does not matter.
fn format(bytes: &[u8]) -> Result<(ImageFormat, &'static str), PictureError> {
    let found = match bytes {
        [] => return Err(PictureError::EmptyFile),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => return Ok((ImageFormat::Png, "PNG")),
        [0xFF, 0xD8, 0xFF, ..] => return Ok((ImageFormat::Jpeg, "JPEG")),
        [b'B', b'M', ..] => return Ok((ImageFormat::Bmp, "BMP")),
        [b'G', b'I', b'F', b'8', ..] => "a GIF",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "a WebP picture",
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => "a TIFF",
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => "a HEIC or AVIF picture or a film",
        [b'%', b'P', b'D', b'F', ..] => "a PDF",
        [0x1F, 0x8B, ..] => "a gzip file",
        [0, 0, 8..=14, 1..=4, ..] => "an IDX file",
        _ => "another kind of file",
    };
    Err(PictureError::NotAPicture { found })
}

/// The number of coefficients per pixel that a decoder holds until a JPEG's last scan: one per component of a progressive JPEG, none of any
/// other. `None` if there is no end marker outside of segments, whose content may be anything, for example a thumbnail.
fn jpeg_coefficients(bytes: &[u8]) -> Option<u64> {
    let (mut rest, mut held) = (bytes, 0);
    loop {
        // In entropy-coded data, 0 or a restart marker follows 0xFF. 0xFF after 0xFF is padding.
        let at = rest
            .windows(2)
            .position(|pair| pair[0] == 0xFF && !matches!(pair[1], 0 | 0x01 | 0xD0..=0xD8 | 0xFF))?;
        let (marker, segment) = (rest[at + 1], &rest[at + 2..]);
        if marker == 0xD9 {
            return Some(held);
        }
        // The segment of a frame has its length, bits per sample, rows, columns, components.
        if let (0xC2 | 0xC6 | 0xCA | 0xCE, Some(&components)) = (marker, segment.get(7)) {
            held = held.max(components.into());
        }
        let &[high, low] = segment.get(..2)? else { return None };
        let len = usize::from(u16::from_be_bytes([high, low]));
        rest = segment.get(len.max(2)..)?;
    }
}

/// A decoder's message in one line, without the name of the format that it begins with.
fn detail(error: &ImageError) -> String {
    match error {
        ImageError::Limits(_) => "it would take too much memory".to_owned(),
        ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            "it ends too early".to_owned()
        }
        error => {
            let mut cause: &dyn std::error::Error = error;
            while let Some(source) = cause.source() {
                cause = source;
            }
            cause.to_string().trim_end_matches('.').split_whitespace().collect::<Vec<_>>().join(" ")
        }
    }
}
