//! Errors: input that does not fit together.

/// An error of [`Assessment::add`](crate::Assessment::add) or of making a report.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The label is not a class, or the number of probabilities is not the number of classes.
    #[error(
        "sample {sample} has label {label} and {probabilities} probabilities, expected {classes} classes"
    )]
    Sample {
        /// Its index.
        sample: usize,
        /// Its label.
        label: usize,
        /// The number of its probabilities.
        probabilities: usize,
        /// The number of classes.
        classes: usize,
    },
    /// The image has another shape.
    #[error("sample {sample} has {found} pixels, expected {expected}")]
    Pixels {
        /// Its index.
        sample: usize,
        /// The number of its pixels.
        found: usize,
        /// The number of pixels of the shape.
        expected: usize,
    },
    /// No sample was added.
    #[error("no samples, expected at least one")]
    Empty,
    /// The number of class names is not the number of classes.
    #[error("{found} class names, expected {expected}")]
    ClassNames {
        /// The number that was found.
        found: usize,
        /// The number of classes.
        expected: usize,
    },
    /// The first layer does not take the images.
    #[error("a first layer with {found} inputs, expected {expected}, one for each pixel")]
    Kernel {
        /// The number of its inputs.
        found: usize,
        /// The number of pixels of an image.
        expected: usize,
    },
    /// A metric does not have one number per epoch.
    #[error("{found} numbers of {series} in the history, expected {expected}")]
    History {
        /// The metric.
        series: &'static str,
        /// The number that was found.
        found: usize,
        /// The number of epochs.
        expected: usize,
    },
}

ziffer_base::debug_as_message!(ReportError);
