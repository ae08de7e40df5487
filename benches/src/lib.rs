//! Benchmarks of the kernels and of the training step.
