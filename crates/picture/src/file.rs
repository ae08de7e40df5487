//! From the bytes of a file to a decoded picture: nothing is allocated before the header is judged.

use std::io::{Cursor, Read};
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use crate::PictureError;

/// Pixels that a picture may have in a row or column.
pub(crate) const MAX_SIDE: u32 = 16_384;
/// Bytes that decoding a picture may take: 89 million pixels in 8-bit colour, a third of it if the file is a progressive JPEG.
pub(crate) const MAX_BYTES: u64 = 256 << 20;
/// Bytes that are read of a file.
pub(crate) const MAX_FILE_BYTES: u64 = 64 << 20;

/// The whole content of a file.
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

/// The picture, and how it has to be turned to stand upright.
pub(crate) fn decode(bytes: &[u8]) -> Result<(DynamicImage, Orientation), PictureError> {
    let (mut decoder, name) = decoder(bytes)?;
    // One that cannot be read is as good as none.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let image = DynamicImage::from_decoder(decoder).map_err(damaged(name))?;
    Ok((image, orientation))
}

/// Rows and columns by the header.
pub(crate) fn sides(bytes: &[u8]) -> Result<[u32; 2], PictureError> {
    let (width, height) = decoder(bytes)?.0.dimensions();
    Ok([height, width])
}

/// The decoder of a picture whose header was judged, and the format's name.
fn decoder(bytes: &[u8]) -> Result<(impl ImageDecoder, &'static str), PictureError> {
    let (format, name) = format(bytes)?;
    let coefficients = match format {
        // The decoder would fill what is missing with grey.
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

/// What a decoder says of a picture of a format.
fn damaged(format: &'static str) -> impl Fn(ImageError) -> PictureError {
    move |error| PictureError::Damaged { format, detail: detail(&error) }
}

/// The format by the first bytes, whatever the file is called.
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

/// Coefficients for each pixel that are held until a JPEG's last scan: those of all components of a progressive one, none of any
/// other. `None` if the marker of the end does not stand outside of segments, whose content may be anything, a thumbnail for
/// one.
fn jpeg_coefficients(bytes: &[u8]) -> Option<u64> {
    let (mut rest, mut held) = (bytes, 0);
    loop {
        // In the entropy-coded data after a segment, 0xFF is followed by 0 or by a restart marker; 0xFF itself fills.
        let at = rest
            .windows(2)
            .position(|pair| pair[0] == 0xFF && !matches!(pair[1], 0 | 0x01 | 0xD0..=0xD8 | 0xFF))?;
        let (marker, segment) = (rest[at + 1], &rest[at + 2..]);
        if marker == 0xD9 {
            return Some(held);
        }
        // A frame's segment: its length, bits of a sample, rows, columns, components.
        if let (0xC2 | 0xC6 | 0xCA | 0xCE, Some(&components)) = (marker, segment.get(7)) {
            held = held.max(components.into());
        }
        let &[high, low] = segment.get(..2)? else { return None };
        let len = usize::from(u16::from_be_bytes([high, low]));
        rest = segment.get(len.max(2)..)?;
    }
}

/// What a decoder says, without the format's name that it begins with, in one line.
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
