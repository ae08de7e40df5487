//! Tensor operations on ndarray views: kernels for dense networks, parallel with rayon, with the same bits on every machine.
//!
//! ```
//! use ndarray::{Array2, arr1, arr2};
//! use ziffer_tensor::{Activation, matmul};
//!
//! let x = arr2(&[[1.0_f32, 2.0], [3.0, -4.0]]);
//! let kernel = arr2(&[[1.0, 0.0, -1.0], [0.5, 1.0, 1.0]]);
//! let bias = arr1(&[0.0, 0.0, 0.5]);
//! let mut y = Array2::zeros((2, 3));
//! matmul::affine(x.view(), kernel.view(), Some(bias.view()), Activation::Relu, y.view_mut());
//! assert_eq!(y, arr2(&[[2.0, 2.0, 1.5], [1.0, 0.0, 0.0]]));
//! ```
//!
//! # Guarantees
//! * **The same bits** for any number of threads and for each instruction set ([`InstructionSet`]). One thread computes each
//!   result, in a fixed order, by fused multiply-adds or by separately rounded operations. Square roots and divisions are
//!   correctly rounded. In `f32`, exponentials and similar functions are implemented in this crate. Every binary has code for
//!   AVX-512, for AVX2 and for any processor. The process chooses among them at the first use of a kernel.
//! * **No hidden allocation.** An operation that writes its result into the caller's memory allocates nothing once the working
//!   memory of its thread has reached the size that it needs. The exceptions are [`softmax::log_softmax`], and operands or
//!   results that are not in C order.
//!
//! # Shapes
//! B is the number of samples in a batch, I the number of inputs and O the number of outputs of a layer. The kernel of a layer
//! is its matrix of weights, \[I, O\]. `d_x` is the gradient of the loss with respect to x.
//!
//! # Modules
//! * [`matmul`]: matrix products in three orientations, with bias and activation; [`pixels`]: products from pixel bytes.
//! * [`softmax`]: softmax, its logarithm, and cross-entropy; [`reduce`]: sums, means and the index of the largest element.
//! * [`batch_norm`]: batch normalization and its gradients.
//! * [`update`]: the updates of optimizers; [`random`]: streams of random numbers.
//! * [`interpolate`]: resampling of images along a B-spline.
//! * [`thread_team`]: long-lived threads with a barrier; [`shared`]: slices that these threads share.
#![deny(unsafe_code)]
// Miri checks the unsafe code. It reports neither AVX2 nor AVX-512 as available, so that it runs the portable code of each
// kernel:
//
//     MIRIFLAGS=-Zmiri-strict-provenance cargo +nightly miri test -p ziffer-tensor --lib -- \
//         buffer tile pixels prefetch sharing batch_norm::tests::awkward products
//
// A thread team uses rayon's threads. The lists of crossbeam and the scopes of rayon violate Miri's aliasing rules, create
// pointers from integers, and keep memory until the process ends. So the tests of a team run without these rules and without
// the leak check. Miri still checks for races, accesses out of bounds and uninitialized memory:
//
//     MIRIFLAGS="-Zmiri-disable-stacked-borrows -Zmiri-permissive-provenance -Zmiri-ignore-leaks" \
//         cargo +nightly miri test -p ziffer-tensor --lib -- thread_team::tests::shares shared::tests

mod activation;
pub mod batch_norm;
#[allow(unsafe_code, reason = "it reads aligned memory as numbers")]
mod buffer;
#[allow(private_interfaces, reason = "only this crate can make a kernel or call a function that takes one")]
mod compiled;
mod elementary;
mod float;
mod fma;
pub mod interpolate;
#[allow(unsafe_code, reason = "it calls functions that are compiled for an instruction set, after a check")]
mod isa;
mod kernels;
pub mod matmul;
pub mod pixels;
#[allow(unsafe_code, reason = "it uses an intrinsic for an instruction that the compiler does not generate")]
mod prefetch;
#[cfg(test)]
mod products;
pub mod random;
pub mod reduce;
mod scalar;
mod scratch;
#[allow(unsafe_code, reason = "its accessors are unsafe functions")]
pub mod shared;
#[cfg(test)]
#[allow(unsafe_code, reason = "it calls the unsafe accessors")]
mod sharing;
pub mod softmax;
pub mod thread_team;
#[allow(unsafe_code, reason = "the inner loop reads without bounds checks")]
mod tile;
pub mod update;

/// Whether the kernels were compiled with optimization. Without it, a training step takes about 200 times as long.
pub const IS_OPTIMIZED: bool = !cfg!(unoptimized);

pub use activation::Activation;
pub use buffer::{Buffer, NoMemory};
pub use elementary::ln;
pub use float::Float;
pub use isa::InstructionSet;
pub use prefetch::prefetch;
pub use scalar::{Scalar, ScalarFunction};
