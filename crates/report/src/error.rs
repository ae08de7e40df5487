//! What can go wrong: input that does not fit together.

/// An error of [`Assessment::add`](crate::Assessment::add) or of making a report.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A label or a number of probabilities that is not of these classes.
    #[error(
        "sample {sample} has label {label} and {probabilities} probabilities, expected {classes} classes"
    )]
    Sample {
        /// Which one, from 0.
        sample: usize,
        /// Its label.
        label: usize,
        /// Its probabilities.
        probabilities: usize,
        /// The classes.
        classes: usize,
    },
    /// A picture that is not of the shape.
    #[error("sample {sample} has {found} pixels, expected {expected}")]
    Pixels {
        /// Which one, from 0.
        sample: usize,
        /// Its pixels.
        found: usize,
        /// Those of the shape.
        expected: usize,
    },
    /// Nothing was assessed.
    #[error("no samples, expected at least one")]
    Empty,
    /// Class names that are not one for each class.
    #[error("{found} class names, expected {expected}")]
    ClassNames {
        /// How many there are.
        found: usize,
        /// How many classes.
        expected: usize,
    },
    /// A first layer that does not take the pictures.
    #[error("a first layer with {found} inputs, expected {expected}, one for each pixel")]
    Kernel {
        /// Its inputs.
        found: usize,
        /// Pixels of a picture.
        expected: usize,
    },
    /// A history whose numbers are not one for each epoch.
    #[error("{found} numbers of {series} in the history, expected {expected}")]
    History {
        /// Which numbers.
        series: &'static str,
        /// How many there are.
        found: usize,
        /// Epochs.
        expected: usize,
    },
}

ziffer_base::debug_as_message!(ReportError);
