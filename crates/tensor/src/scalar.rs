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
        F::call_f32(input)
    }
}

impl Scalar for f64 {
    fn dispatch<F: ScalarFunction>(input: F::Input<f64>) -> F::Output<f64> {
        F::call(input)
    }
}

/// A function of [`Scalar`] types that is compiled for `f32` in the crate that has the implementation. Generic code calls it with
/// [`Scalar::dispatch`].
///
/// Rust compiles a generic function in each crate that uses it, with the optimization level of that crate. A function without
/// type parameters is compiled once, in its own crate. So programs that train in `f32` do not compile the function again. For
/// `f64`, the type of checks, each crate compiles it.
///
/// ```
/// use std::marker::PhantomData;
/// use ziffer_tensor::{Scalar, ScalarFunction};
///
/// struct Sum<'a>(PhantomData<&'a ()>);
///
/// impl<'a> ScalarFunction for Sum<'a> {
///     type Input<T: Scalar> = &'a [T];
///     type Output<T: Scalar> = T;
///
///     fn call<T: Scalar>(x: &'a [T]) -> T {
///         x.iter().fold(T::zero(), |sum, &x| sum + x)
///     }
///
///     fn call_f32(x: &'a [f32]) -> f32 {
///         Self::call(x)
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

    /// The function for any type.
    fn call<T: Scalar>(input: Self::Input<T>) -> Self::Output<T>;

    /// [`call`](Self::call) for `f32`. An implementation calls it.
    fn call_f32(input: Self::Input<f32>) -> Self::Output<f32>;
}
