//! Where the content of a file comes from, and the checks that it passes on its way.
//!
//! [`candidate`]: the local files that may have the content. [`download`]: URLs. [`archive`]: the zip archive that several sets
//! share. [`ingest`] unpacks and verifies what any of them yields, and [`transform`] puts it into the form that is kept.

pub(crate) mod archive;
pub(crate) mod candidate;
#[cfg(feature = "download")]
pub(crate) mod download;
pub(crate) mod ingest;
pub(crate) mod transform;
pub(crate) mod zip_member;
