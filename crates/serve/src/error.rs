//! Errors of starting a server.

use std::io;
use std::net::SocketAddr;

/// An error of [`Server`](crate::Server) or [`Site`](crate::Site). The message does not repeat the cause, which
/// [`source`](std::error::Error::source) gives.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Another program has the port.
    #[error("{address}: another program listens on port {}", address.port())]
    Taken {
        /// The address to bind.
        address: SocketAddr,
    },
    /// The address cannot be bound.
    #[error("{address}: cannot listen")]
    Listen {
        /// The address to bind.
        address: SocketAddr,
        /// The I/O error.
        source: io::Error,
    },
    /// The operating system does not give what a server needs.
    #[error("cannot start the server")]
    Start(#[source] io::Error),
    /// The model's input is not an image.
    #[error("the model takes {found:?}, expected rows and columns, from 7x7 to 1024x1024, to draw on")]
    NoPicture {
        /// The shape of its input.
        found: Vec<usize>,
    },
    /// The model has no weights.
    #[error("the model has no parameters, expected a trained model")]
    NoParameters,
}

ziffer_base::debug_as_message!(ServeError);
