//! The semantics of `fit`: Keras's split, order and means, the calls of callbacks, the same bits for any number of threads, and errors.

mod callbacks;
mod errors;
mod samples;
mod setup;
