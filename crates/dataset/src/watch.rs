//! What can be watched while a set is got.

use std::path::Path;

use ziffer_base::fs::FolderLock;

/// What takes time while a set is got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Another process is filling this folder; it is waited for.
    Waiting {
        /// The folder.
        folder: &'a Path,
    },
    /// A file is arriving from an address.
    Transfer(Transfer<'a>),
}

/// How far a file from an address has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transfer<'a> {
    /// The address.
    pub url: &'a str,
    /// Bytes that have arrived.
    pub bytes: u64,
    /// Bytes in all, if the server says it.
    pub len: Option<u64>,
}

/// Who is told of events: once of a waiting, now and then of a transfer while it goes on.
pub(crate) type Watch<'w> = dyn FnMut(Event<'_>) + 'w;

/// Locks a folder. If another process has locked it, `watch` is told, and it is waited for. `None` if the folder cannot be
/// created: writing into it will tell why.
pub(crate) fn lock(folder: &Path, watch: &mut Watch<'_>) -> Option<FolderLock> {
    FolderLock::lock(folder, || watch(Event::Waiting { folder })).ok()
}
