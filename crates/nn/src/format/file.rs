//! Reading and writing the bytes of a model's file.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use safetensors::SafeTensorError;
use safetensors::tensor::Metadata;

use super::error::FormatError;
use ziffer_base::fs::AtomicFile;

use crate::OneLine;

/// The largest header that the format allows, in bytes.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// Writes a file, which appears completely or not at all.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), FormatError> {
    AtomicFile::write(path, bytes).map_err(|source| FormatError::Io {
        path: path.to_owned(),
        action: "write",
        source,
    })
}

/// The path of the model's file: `path` itself, or `model.safetensors` in the folder `path`.
pub(super) fn file(path: &Path) -> PathBuf {
    if path.is_dir() { path.join("model.safetensors") } else { path.to_owned() }
}

/// Reads a file. If its length differs from the one that its header gives, only the header is read.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, FormatError> {
    let failed = |source| FormatError::Io { path: path.to_owned(), action: "read", source };
    // A device or a pipe may have no end.
    let metadata = fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(failed(io::Error::other("not a regular file")));
    }
    let mut file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.by_ref().take(8).read_to_end(&mut bytes).map_err(failed)?;
    let header_len = bytes.first_chunk().map_or(0, |len| u64::from_le_bytes(*len));
    if header_len <= MAX_HEADER_BYTES {
        file.by_ref().take(header_len).read_to_end(&mut bytes).map_err(failed)?;
        // A wrong header is reported when the bytes are parsed.
        let header: Option<Metadata> = bytes.get(8..).and_then(|header| serde_json::from_slice(header).ok());
        if let Some(header) = header {
            let expected = (8 + header_len).checked_add(header.data_len() as u64);
            if expected != Some(metadata.len()) {
                let source = OneLine(SafeTensorError::MetadataIncompleteBuffer);
                return Err(FormatError::Damaged { path: path.to_owned(), source });
            }
            file.read_to_end(&mut bytes).map_err(failed)?;
        }
    }
    Ok(bytes)
}
