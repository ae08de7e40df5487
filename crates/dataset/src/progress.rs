//! Progress events: what a caller can show while a set is opened.

use std::path::Path;

use ziffer_base::fs::FolderLock;

/// Something that takes time while a set is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProgressEvent<'a> {
    /// Another process is filling this folder. The event comes once, when waiting starts.
    WaitingForLock {
        /// The folder.
        folder: &'a Path,
    },
    /// A file is being downloaded. The event comes several times per megabyte.
    Download(DownloadProgress<'a>),
}

/// The progress of a download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DownloadProgress<'a> {
    /// The URL.
    pub url: &'a str,
    /// Bytes received.
    pub bytes: u64,
    /// The total number of bytes, if the server reports it.
    pub len: Option<u64>,
}

/// The caller's function for progress events.
pub(crate) type OnProgress<'a> = dyn FnMut(ProgressEvent<'_>) + 'a;

/// Locks a folder, and reports if another process has it. `None` if the folder cannot be created: writing into it then fails
/// with the reason.
pub(crate) fn lock_folder(folder: &Path, on_progress: &mut OnProgress<'_>) -> Option<FolderLock> {
    FolderLock::lock(folder, || on_progress(ProgressEvent::WaitingForLock { folder })).ok()
}
