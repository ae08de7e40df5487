//! The properties that hold for arbitrary bytes, with a function for each format. A function takes a folder to write to and returns
//! whether the bytes were accepted. It panics if a property does not hold.

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

/// Checks that an error's message is one line without control characters and not too long. The longest is that of a shape of 255
/// sizes.
fn check_line(error: &impl Display) -> String {
    let message = error.to_string();
    assert!(!message.contains(char::is_control) && message.len() < 4096, "not one line: {message:?}");
    message
}

/// Checks the error's message, which must contain the file's path.
fn check_message(error: &impl Display, path: &Path) {
    let message = check_line(error);
    assert!(message.contains(&path.display().to_string()), "no path in {message:?}");
}
