//! Tensor operations on ndarray views: kernels for dense networks, parallel over rayon, the same bits on any machine.
