//! What several of ziffer's crates need and the standard library lacks.
//!
//! ```
//! use ziffer_base::{OneLine, thousands};
//!
//! assert_eq!(thousands(60_000), "60,000");
//! assert_eq!(OneLine("a name\nof two lines").to_string(), "a name\\nof two lines");
//! ```
//!
//! # Modules
//!
//! - `fs` (feature `fs`): `AtomicFile`, a file that is replaced as a whole; temporary files, and the removal of those that
//!   killed processes left; `FolderLock`.
//! - `digest` (feature `digest`): `Digest`, a SHA-256 digest, and `Sha256`, which computes one.
//! - `test_server` (feature `test-server`): a small HTTP server for tests.
//! - At the root, always: [`thousands`], [`OneLine`], [`chain`] and [`debug_as_message!`].
//!
//! Without features the crate has no dependencies.
#![forbid(unsafe_code)]

#[cfg(feature = "digest")]
pub mod digest;
mod error;
#[cfg(feature = "fs")]
pub mod fs;
mod one_line;
#[cfg(feature = "test-server")]
pub mod test_server;
mod thousands;

pub use error::chain;
pub use one_line::OneLine;
pub use thousands::thousands;
