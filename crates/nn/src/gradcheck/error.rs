//! The error of a gradient check.

use crate::BuildError;
use crate::training::StepError;

/// A gradient is wrong or cannot be checked.
#[derive(Clone, PartialEq, thiserror::Error)]
pub enum GradientError {
    /// The layer cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The step failed.
    #[error(transparent)]
    Step(#[from] StepError),
    /// The gradient is not the derivative.
    #[error("the gradient with respect to {of} is {gradient:e}, the central difference is {difference:e}")]
    Wrong {
        /// The number: `dense.kernel[12]`.
        of: String,
        /// The gradient that the code computes.
        gradient: f64,
        /// The central difference.
        difference: f64,
    },
    /// The bits of the gradient depend on the number of threads.
    #[error(
        "the gradient with respect to {of} depends on the number of threads: {one:e} with 1, {other:e} with {threads}"
    )]
    Threads {
        /// The number.
        of: String,
        /// The gradient with one thread.
        one: f64,
        /// The gradient with several threads.
        other: f64,
        /// The number of threads.
        threads: usize,
    },
    /// A part of the outputs, computed separately, differs from the same part of all outputs.
    #[error(
        "{of} is {whole:e} if all outputs are computed together, {alone:e} if some are computed separately"
    )]
    Outputs {
        /// The number.
        of: String,
        /// Computed together with all outputs.
        whole: f64,
        /// Computed separately.
        alone: f64,
    },
    /// Too many numbers are at a kink.
    #[error("{skipped} of {all} numbers are at a kink; try another seed")]
    Kinks {
        /// The number of them.
        skipped: usize,
        /// The number of all numbers.
        all: usize,
    },
}

ziffer_base::debug_as_message!(GradientError);
