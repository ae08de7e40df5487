//! The bits of a training do not depend on threads, instruction sets, the division into runs, saving and restoring, or on whether
//! gradients are returned as a value.

mod averages;
mod frozen;
mod gradients;
mod same_bits;
mod setup;
