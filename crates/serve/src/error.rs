//! What can go wrong before a request is answered.

use std::io;
use std::net::SocketAddr;

/// An error of [`Server`](crate::Server) or [`Site`](crate::Site). The message does not repeat the cause, which
/// [`source`](std::error::Error::source) gives.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The port is another program's.
    #[error("{address}: another program listens on port {}", address.port())]
    Taken {
        /// Where it should have listened.
        address: SocketAddr,
    },
    /// It cannot listen there.
    #[error("{address}: cannot listen")]
    Listen {
        /// Where it should have listened.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The system does not give what a server needs.
    #[error("cannot start the server")]
    Start(#[source] io::Error),
    /// Nothing that can be drawn for the network.
    #[error("the model takes {found:?}, expected rows and columns, from 7x7 to 1024x1024, to draw on")]
    NoPicture {
        /// The shape of its input.
        found: Vec<usize>,
    },
    /// Layers that change nothing.
    #[error("the model has no parameters, expected a network that has learned something")]
    NoParameters,
}

ziffer_base::debug_as_message!(ServeError);
