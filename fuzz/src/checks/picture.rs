//! Picture files.

use std::path::Path;

use ziffer_picture::{prepare_file, sides};

use super::{check_line, check_message, write};

/// Pictures with more pixels are not decoded, to save time. Only their headers are checked.
const MAX_PIXELS: u64 = 1 << 18;

/// Checks a picture file. An accepted picture has foreground and background pixels, and its header gives its sides.
pub fn picture(folder: &Path, bytes: &[u8]) -> bool {
    let [rows, columns] = match sides(bytes) {
        Ok(sides) => sides,
        Err(error) => {
            check_line(&error);
            return false;
        }
    };
    assert!(rows > 0 && columns > 0, "{rows} rows and {columns} columns");
    if u64::from(rows) * u64::from(columns) > MAX_PIXELS {
        return false;
    }
    let path = write(folder, "picture", bytes);
    match prepare_file(&path, [28, 28]) {
        Ok(pixels) => {
            assert_eq!(pixels.len(), 28 * 28);
            assert!(pixels.contains(&255) && pixels.contains(&0), "{pixels:?}");
            true
        }
        Err(error) => {
            check_message(&error, &path);
            false
        }
    }
}
