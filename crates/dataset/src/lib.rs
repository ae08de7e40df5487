//! IDX files by memory mapping, the MNIST family of data sets, getting them, splits and batches.
