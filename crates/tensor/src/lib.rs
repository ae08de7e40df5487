//! Tensor operations on ndarray views: kernels for dense networks, parallel over rayon, the same bits on any machine.
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
//! * **The same bits** for any number of threads and for each instruction set ([`InstructionSet`]): every number is
//!   formed by one thread in one order, by fused multiply-add or operations that are each rounded, with the exact square
//!   root and division, and with exponentials of its own. Code for AVX-512, for AVX2 and for any processor is in every
//!   binary and chosen at start.
//! * **No hidden allocation**: an operation that writes its result into the caller's memory allocates nothing once its thread's
//!   scratch has grown to size.
//!
//! # Shapes
//! B samples of a batch, I inputs, O outputs; a kernel is \[I, O\]. `d_x` is the gradient of the loss with respect to x.
//!
//! # Modules
//! * [`matmul`]: products in three orientations, with bias and activation; [`pixels`]: the same from bytes.
//! * [`softmax`]: softmax, its logarithm, and cross-entropy; [`reduce`]: sums and largest elements.
//! * [`batch_norm`]: batch normalization by columns.
//! * [`update`]: the optimizers' updates; [`random`]: streams of random numbers.
//! * [`interpolate`]: pictures resampled along a smooth map.
//! * [`thread_team`]: threads that work in step; [`shared`]: the memory that they share.
#![deny(unsafe_code)]
// What is unsafe is checked by Miri too. It detects neither AVX2 nor AVX-512, so it runs the portable code of each kernel:
//
//     MIRIFLAGS=-Zmiri-strict-provenance cargo +nightly miri test -p ziffer-tensor --lib -- \
//         buffer tile pixels prefetch sharing batch_norm::tests::awkward products
//
// A team's threads are rayon's. Miri's rules of aliasing do not allow what crossbeam's lists and rayon's scopes do, addresses are
// made from integers there, and their memory lives until the process ends; so these rules, and the search for leaks, are
// off for the tests of a team. Races, bounds and uninitialized memory are still checked:
//
//     MIRIFLAGS="-Zmiri-disable-stacked-borrows -Zmiri-permissive-provenance -Zmiri-ignore-leaks" \
//         cargo +nightly miri test -p ziffer-tensor --lib -- thread_team::tests::shares shared::tests

mod activation;
pub mod batch_norm;
#[allow(unsafe_code, reason = "aligned memory is read as numbers")]
mod buffer;
#[allow(private_interfaces, reason = "only this crate can make a kernel or call a function that takes one")]
mod compiled;
mod elementary;
mod float;
mod fma;
pub mod interpolate;
#[allow(unsafe_code, reason = "functions are compiled for instruction sets and called after a check")]
mod isa;
mod kernels;
pub mod matmul;
pub mod pixels;
#[allow(unsafe_code, reason = "an instruction that no plain code compiles to")]
mod prefetch;
#[cfg(test)]
mod products;
pub mod random;
pub mod reduce;
mod scalar;
mod scratch;
#[allow(unsafe_code, reason = "its two accessors are unsafe to call")]
pub mod shared;
#[cfg(test)]
#[allow(unsafe_code, reason = "it uses the unsafe accessors")]
mod sharing;
pub mod softmax;
pub mod thread_team;
#[allow(unsafe_code, reason = "the inner loop reads without bounds checks")]
mod tile;
pub mod update;

/// Whether the kernels were compiled with optimization. Without it, a training step takes some 200 times as long.
pub const IS_OPTIMIZED: bool = !cfg!(unoptimized);

pub use activation::Activation;
pub use buffer::{Buffer, NoMemory};
pub use elementary::ln;
pub use float::Float;
pub use isa::InstructionSet;
pub use prefetch::prefetch;
pub use scalar::{Scalar, ScalarFunction};
