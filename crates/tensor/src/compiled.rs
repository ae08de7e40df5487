//! The kernels as functions of `f32` and of `f64`, which are compiled in this crate only.
//!
//! Rust compiles a generic function in each crate that calls it, here for three instruction sets. This would take half a minute
//! for every program and every test. The functions of [`Kernels`] are not generic, so that only this crate compiles the
//! kernels.

use crate::isa;
use crate::kernels::activation::{Apply, Backward};
use crate::kernels::adam::AdamUpdate;
use crate::kernels::batch_norm::{GradientSums, InputGradient, Moments, Normalize, ScaleColumns};
use crate::kernels::decay::Decay;
use crate::kernels::lion::LionUpdate;
use crate::kernels::moving_average::MovingAverage;
use crate::kernels::nadam::NadamUpdate;
use crate::kernels::pack_rows::PackRows;
use crate::kernels::pixels_forward::Forward;
use crate::kernels::pixels_outer::Outer;
use crate::kernels::product::Product;
use crate::kernels::rmsprop::RmsPropUpdate;
use crate::kernels::sgd::{MomentumUpdate, SgdUpdate};
use crate::kernels::softmax::{CrossEntropy, Exponentials, Row, Softmax};
use crate::kernels::transposed::Transposed;

/// Defines a trait with a function for each kernel, which runs it with the instruction set in use, and its implementations.
macro_rules! kernels {
    ($($name:ident: $kernel:ty => $output:ty;)*) => {
        /// The compiled kernels that the generic operations call.
        pub trait Kernels: Sized {
            $(
                #[doc(hidden)]
                fn $name(kernel: $kernel) -> $output;
            )*
        }

        impl Kernels for f32 {
            $(
                fn $name(kernel: $kernel) -> $output {
                    isa::run(kernel)
                }
            )*
        }

        impl Kernels for f64 {
            $(
                fn $name(kernel: $kernel) -> $output {
                    isa::run_small(kernel)
                }
            )*
        }
    };
}

kernels! {
    product: Product<'_, Self> => ();
    pack_rows: PackRows<'_, Self> => ();
    transposed: Transposed<'_, Self> => ();
    pixels_forward: Forward<'_, Self> => ();
    pixels_outer: Outer<'_, '_, Self> => ();
    activation: Apply<'_, Self> => ();
    activation_backward: Backward<'_, Self> => ();
    softmax: Softmax<'_, Self> => ();
    exponentials: Row<'_, Self> => Exponentials<Self>;
    cross_entropy: CrossEntropy<'_, Self> => Exponentials<Self>;
    decay: Decay<'_, Self> => ();
    sgd: SgdUpdate<'_, Self> => ();
    momentum: MomentumUpdate<'_, Self> => ();
    adam: AdamUpdate<'_, Self> => ();
    nadam: NadamUpdate<'_, Self> => ();
    lion: LionUpdate<'_, Self> => ();
    rmsprop: RmsPropUpdate<'_, Self> => ();
    moving_average: MovingAverage<'_, Self> => ();
    batch_moments: Moments<'_, Self> => ();
    batch_normalize: Normalize<'_, Self> => ();
    batch_gradient_sums: GradientSums<'_, Self> => ();
    batch_input_gradient: InputGradient<'_, Self> => ();
    batch_scale_columns: ScaleColumns<'_, Self> => ();
}
