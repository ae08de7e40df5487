//! The number types of the operations: `f32` for training, `f64` for checks.

use crate::compiled::Kernels;
use crate::float::Float;
use crate::isa::SimdElement;
use crate::scratch::ScratchElement;

/// A number type of the operations: the arithmetic of [`Float`] and the compiled kernels.
///
/// The trait is sealed: only `f32` and `f64` implement it.
pub trait Scalar: Float + SimdElement + ScratchElement + Kernels {
    /// Calls the function of `F` for this type. See [`ScalarFunction`].
    fn dispatch<F: ScalarFunction>(input: F::Input<Self>) -> F::Output<Self>;
}

impl Scalar for f32 {
    fn dispatch<F: ScalarFunction>(input: F::Input<f32>) -> F::Output<f32> {
        F::f32(input)
    }
}

impl Scalar for f64 {
    fn dispatch<F: ScalarFunction>(input: F::Input<f64>) -> F::Output<f64> {
        F::f64(input)
    }
}

/// A pair of functions, one for each [`Scalar`] type, which generic code calls with [`Scalar::dispatch`].
///
/// Rust compiles a generic function in each crate that uses it, with the optimization level of that crate. If an implementation
/// of this trait has no type parameters, its functions [`f32`](Self::f32) and [`f64`](Self::f64) are compiled once, in the
/// crate that has the implementation.
///
/// ```
/// use ziffer_tensor::{Scalar, ScalarFunction};
///
/// struct Sum<'a>(std::marker::PhantomData<&'a ()>);
///
/// impl<'a> ScalarFunction for Sum<'a> {
///     type Input<T: Scalar> = &'a [T];
///     type Output<T: Scalar> = T;
///     fn f32(x: &'a [f32]) -> f32 {
///         x.iter().sum()
///     }
///     fn f64(x: &'a [f64]) -> f64 {
///         x.iter().sum()
///     }
/// }
///
/// fn mean<T: Scalar>(x: &[T]) -> T {
///     T::dispatch::<Sum<'_>>(x) / T::from_f64(x.len() as f64)
/// }
/// assert_eq!(mean(&[1.0_f32, 3.0]), 2.0);
/// ```
pub trait ScalarFunction {
    /// The argument.
    type Input<T: Scalar>;

    /// The result.
    type Output<T: Scalar>;

    /// The function for `f32`.
    fn f32(input: Self::Input<f32>) -> Self::Output<f32>;

    /// The function for `f64`.
    fn f64(input: Self::Input<f64>) -> Self::Output<f64>;
}
