//! Whether an open file is still the one at a path.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

/// Whether `file` is the file that `at_path`, the metadata of the path, describes.
#[cfg(unix)]
pub(super) fn is_same(at_path: io::Result<Metadata>, file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |metadata: Metadata| (metadata.dev(), metadata.ino());
    match (at_path, file.metadata()) {
        (Ok(at_path), Ok(open)) => id(at_path) == id(open),
        _ => false,
    }
}

/// Whether there is a file at the path. The names of temporary files are random and not used twice.
#[cfg(not(unix))]
pub(super) fn is_same(at_path: io::Result<Metadata>, _: &File) -> bool {
    at_path.is_ok()
}

/// The folder of a path.
pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_is_relative_to_the_current_folder() {
        assert_eq!(folder_of(Path::new("name")), Path::new("."));
        assert_eq!(folder_of(Path::new("a/name")), Path::new("a"));
    }

    #[cfg(unix)]
    #[test]
    fn a_new_file_at_the_path_is_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let [path, elsewhere] = ["file", "elsewhere"].map(|name| folder.path().join(name));
        let file = File::create(&path).unwrap();
        let is_at = |path: &Path| is_same(path.symlink_metadata(), &file);
        assert!(is_at(&path));
        std::fs::rename(&path, &elsewhere).unwrap();
        assert!(!is_at(&path) && is_at(&elsewhere));
        std::fs::write(&path, b"").unwrap();
        assert!(!is_at(&path));
    }
}
