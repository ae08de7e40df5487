//! What must hold of any bytes, a function for each format. They take a folder to work in, return whether the bytes
//! were accepted, and panic where a promise is broken.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

pub mod checkpoint;
mod framed;
mod gz;
mod idx;
mod keras;
mod model;
mod picture;
mod recipe;

pub use checkpoint::checkpoint;
pub use gz::gz;
pub use idx::idx;
pub use keras::keras;
pub use model::model;
pub use picture::picture;
pub use recipe::recipe;

/// Writes a file of this name in `folder`.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).expect("a folder that can be written");
    path
}

/// Holds an error to the house's rule: a message in one line, which does nothing to a terminal and can be read. The longest
/// is that of a shape of 255 sizes.
fn check_line(error: &impl Display) -> String {
    let message = error.to_string();
    assert!(!message.contains(char::is_control) && message.len() < 4096, "no line: {message:?}");
    message
}

/// The same, and the line names the file.
fn check_message(error: &impl Display, path: &Path) {
    let message = check_line(error);
    assert!(message.contains(&path.display().to_string()), "names no file: {message:?}");
}
