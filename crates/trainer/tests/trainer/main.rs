//! The tests of the public interface, in one program. The test of allocations, which needs a process of its own, is beside this
//! folder.
#![allow(clippy::unwrap_used, reason = "a failure is the test's")]

mod augmented;
mod batch_norm;
mod callbacks;
mod checkpoints;
mod combined;
mod keras_callbacks;
mod networks;
mod optimization;
mod parity;
mod support;
mod training;
mod windows;
