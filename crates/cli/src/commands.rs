//! The commands that `ziffer` and `cargo xtask` have in common: their flags, and what they do.

mod augment;
mod data;
mod data_sets;
mod download;
mod evaluate;
mod export;
mod import;
mod predict;
mod recipe;
mod report;
mod serve;
mod summary;
mod train;
mod watched;

pub use data::DataArgs;
pub use data_sets::Data;
pub use download::Download;
pub use evaluate::Evaluate;
pub use export::Export;
pub use import::Import;
pub use predict::Predict;
pub use recipe::Recipe;
pub use report::Report;
pub use serve::Serve;
pub use summary::Summary;
pub use train::{Train, Trained};
