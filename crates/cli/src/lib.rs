//! Trains small dense networks on MNIST-style data, fast and repeatably.
