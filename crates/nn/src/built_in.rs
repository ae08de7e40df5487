//! The layers of this crate as trait objects, compiled in this crate.

use ziffer_tensor::{Scalar, ScalarFunction};

use crate::layer::Layer;
use crate::{
    ActivationLayer, BatchNormalization, Dense, Dropout, Elu, Flatten, GaussianNoise, LayerNormalization,
    LeakyRelu, PRelu, Relu, Rescaling, Reshape, Softmax,
};

/// A layer of this crate.
pub(crate) trait BuiltIn {
    /// The layer as a trait object.
    fn boxed<T: Scalar>(self) -> Box<dyn Layer<T>>;
}

macro_rules! built_in {
    ($($layer:ty),* $(,)?) => {
        $(
            impl ScalarFunction for $layer {
                type Input<T: Scalar> = Self;
                type Output<T: Scalar> = Box<dyn Layer<T>>;

                fn call<T: Scalar>(layer: Self) -> Box<dyn Layer<T>> {
                    Box::new(layer)
                }

                fn call_f32(layer: Self) -> Box<dyn Layer<f32>> {
                    Box::new(layer)
                }
            }

            impl BuiltIn for $layer {
                fn boxed<T: Scalar>(self) -> Box<dyn Layer<T>> {
                    T::dispatch::<Self>(self)
                }
            }
        )*
    };
}

built_in!(
    ActivationLayer,
    BatchNormalization,
    Dense,
    Dropout,
    Elu,
    Flatten,
    GaussianNoise,
    LayerNormalization,
    LeakyRelu,
    PRelu,
    Relu,
    Rescaling,
    Reshape,
    Softmax,
);
