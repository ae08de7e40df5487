//! The number types of the operations: `f32` for training, `f64` for checking it.

use crate::compiled::Kernels;
use crate::float::Float;
use crate::isa::SimdElement;
use crate::scratch::ScratchElement;

/// A floating-point type that every operation of the crate takes: the arithmetic of [`Float`] and the compiled kernels.
///
/// The trait is sealed: `f32` and `f64` alone implement it.
pub trait Scalar: Float + SimdElement + ScratchElement + Kernels {}

impl Scalar for f32 {}
impl Scalar for f64 {}
