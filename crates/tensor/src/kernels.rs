//! The kernels, generic over the number type and the instruction set. A kernel is a struct of operands with a loop over them.
//!
//! The public operations check the operands and call a kernel through [`crate::compiled`].

pub(crate) mod activation;
pub(crate) mod adam;
pub(crate) mod batch_norm;
pub(crate) mod decay;
pub(crate) mod destination;
pub(crate) mod lion;
pub(crate) mod moving_average;
pub(crate) mod nadam;
pub(crate) mod pack_rows;
#[allow(unsafe_code, reason = "bounds checks take a fifth of the inner loop's time")]
pub(crate) mod pixels_forward;
#[allow(unsafe_code, reason = "an intrinsic for an instruction that the compiler does not generate")]
pub(crate) mod pixels_mask;
#[allow(unsafe_code, reason = "bounds checks take a fifth of the inner loop's time")]
pub(crate) mod pixels_outer;
pub(crate) mod product;
pub(crate) mod rmsprop;
pub(crate) mod sgd;
pub(crate) mod softmax;
pub(crate) mod transposed;
