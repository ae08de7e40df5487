//! The error of a callback.

/// The reason why a callback failed.
pub type CallbackError = Box<dyn std::error::Error + Send + Sync>;
