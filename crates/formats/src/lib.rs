//! Models in other programs' files.
//!
//! ```
//! use ziffer_formats::keras;
//!
//! let bytes = std::fs::read("tests/keras/fixtures/digits.keras")?;
//! let imported = keras::import(&bytes, &keras::Options::default())?;
//! for assumption in &imported.assumptions {
//!     eprintln!("digits.keras {assumption}");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Modules
//! * [`keras`] reads `.keras`, `.weights.h5` and `.h5` files.
#![forbid(unsafe_code)]

pub mod keras;
