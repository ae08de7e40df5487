//! Members of zip archives. Reading them needs the feature `zip`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::ingest::IngestError;
use crate::error::DatasetError;

/// Passes the first of `names` that the archive `file` contains to `read`, with the path of the member in the archive.
#[cfg(feature = "zip")]
pub(crate) fn read_member<T>(
    file: File,
    path: &Path,
    names: &[String],
    read: impl FnOnce(&mut dyn Read, &Path) -> Result<T, IngestError>,
) -> Result<T, IngestError> {
    use zip::ZipArchive;

    // The length of the file bounds its directory.
    let reader = std::io::BufReader::new(file);
    let mut archive = ZipArchive::new(reader).map_err(|error| zip_error(path, &error))?;
    let name = names.iter().find(|name| archive.index_for_name(name).is_some());
    let Some(name) = name else {
        let reason = format!("has no {}", names.first().map_or("", String::as_str));
        return Err(IngestError::Source(DatasetError::Zip { path: path.to_owned(), reason }));
    };
    let mut member = archive.by_name(name).map_err(|error| zip_error(path, &error))?;
    read(&mut member, &path.join(name))
}

#[cfg(feature = "zip")]
fn zip_error(path: &Path, error: &zip::result::ZipError) -> IngestError {
    use zip::result::ZipError;

    let reason = match error {
        ZipError::Io(error) => format!("cannot be read: {}", crate::error::reason(error)),
        error => format!("bad zip archive ({error}), delete it or place a good one"),
    };
    IngestError::Source(DatasetError::Zip { path: path.to_owned(), reason })
}

/// Without the feature `zip`, an error that names it.
#[cfg(not(feature = "zip"))]
pub(crate) fn read_member<T>(
    _: File,
    path: &Path,
    _: &[String],
    _: impl FnOnce(&mut dyn Read, &Path) -> Result<T, IngestError>,
) -> Result<T, IngestError> {
    let reason =
        "cannot be read, ziffer-dataset was built without its feature `zip`; unpack it there".to_owned();
    Err(IngestError::Source(DatasetError::Zip { path: path.to_owned(), reason }))
}
