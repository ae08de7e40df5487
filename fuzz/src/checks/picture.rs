//! Picture files.

use std::path::Path;

use ziffer_picture::{prepare_file, sides};

use super::{check_line, check_message, write};

/// Pixels beyond which nothing is decoded here: the sides of large pictures are judged by their headers alone.
const PIXELS: u64 = 1 << 18;

/// A picture that is accepted has ink and paper, and had sides that its header said.
pub fn picture(folder: &Path, bytes: &[u8]) -> bool {
    let [rows, columns] = match sides(bytes) {
        Ok(sides) => sides,
        Err(error) => {
            check_line(&error);
            return false;
        }
    };
    assert!(rows > 0 && columns > 0, "{rows} rows and {columns} columns");
    if u64::from(rows) * u64::from(columns) > PIXELS {
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
