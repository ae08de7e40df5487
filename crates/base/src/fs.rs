//! Files that are replaced as a whole, temporary files, and folder locks.

mod atomic_file;
mod folder_lock;
mod identity;
mod temporary;

pub use atomic_file::AtomicFile;
pub use folder_lock::FolderLock;
pub use temporary::{remove_stale_files, temporary_file_in};
