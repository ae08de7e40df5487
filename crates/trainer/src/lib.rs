//! Fit, evaluate and predict, with callbacks, history and progress.
