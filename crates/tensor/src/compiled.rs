//! The kernels, compiled for both types of numbers in this crate.
//!
//! A generic function is compiled in each crate that calls it, here for three instruction sets at that, which took every
//! program and every test half a minute. Behind this trait there is code already.

use crate::activation::{Apply, Backward};
use crate::batch_norm::{GradientSums, InputGradient, Moments, Normalize, ScaleColumns};
use crate::isa;
use crate::matmul::serial;
use crate::pixels;
use crate::softmax::{CrossEntropy, Exponentials, Row, Softmax};
use crate::tile;
use crate::update::adam::AdamUpdate;
use crate::update::decay::Decay;
use crate::update::lion::LionUpdate;
use crate::update::moving_average::MovingAverage;
use crate::update::nadam::NadamUpdate;
use crate::update::rmsprop::RmsPropUpdate;
use crate::update::sgd::{MomentumUpdate, SgdUpdate};

/// A function for each generic kernel, which runs it with the instruction set in use.
macro_rules! kernels {
    ($($name:ident: $kernel:ty => $output:ty;)*) => {
        /// What the generic operations call.
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
    product: serial::rows::Product<'_, Self> => ();
    pack_rows: tile::PackRows<'_, Self> => ();
    transposed: serial::transposed::Transposed<'_, Self> => ();
    pixels_forward: pixels::forward::Forward<'_, Self> => ();
    pixels_outer: pixels::outer::Outer<'_, '_, Self> => ();
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
