//! Rescaling: pixels become numbers in the model.

use ndarray::{ArrayView2, ArrayViewMut2, Zip};
use serde_json::{Map, Value};
use ziffer_tensor::{Scalar, pixels};

use crate::layer::{Context, Input, InputType, Layer, LayerError, Mode, Weights};

/// The class's name.
pub(crate) const CLASS: &str = "Rescaling";

/// How near to 1/255 a scale is taken for it; Keras keeps it in single or double precision.
const TOLERANCE: f64 = 1e-7;

/// y = scale x + offset, as Keras's `Rescaling`; of pixel bytes x is the byte, 0 to 255.
///
/// | setting | meaning | default |
/// |---|---|---|
/// | scale | the factor | - |
/// | offset | what is added | 0 |
///
/// With scale 1/255 and offset 0 pixels cost nothing: that is what the kernels take a byte for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rescaling {
    scale: f64,
    offset: f64,
}

impl Rescaling {
    /// A layer of this scale and offset.
    pub fn new(scale: f64, offset: f64) -> Self {
        Self { scale, offset }
    }

    /// Whether it divides by 255 and does nothing else.
    fn is_plain(&self) -> bool {
        (self.scale * 255.0 - 1.0).abs() <= TOLERANCE && self.offset == 0.0
    }
}

impl<T: Scalar> Layer<T> for Rescaling {
    fn class_name(&self) -> &'static str {
        CLASS
    }

    fn build(&mut self, input_shape: &[usize]) -> Result<Vec<usize>, LayerError> {
        for (setting, value) in [("scale", self.scale), ("offset", self.offset)] {
            if !value.is_finite() {
                return Err(format!("{setting} is {value}, expected a finite number").into());
            }
        }
        Ok(input_shape.to_vec())
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([("scale".to_owned(), self.scale.into()), ("offset".to_owned(), self.offset.into())])
    }

    fn is_identity(&self, _: Mode, input: InputType) -> bool {
        match input {
            InputType::Pixels => self.is_plain(),
            InputType::Real => self.scale == 1.0 && self.offset == 0.0,
        }
    }

    fn forward(
        &self,
        _: &mut Context<'_, T>,
        _: Weights<'_, T>,
        x: Input<'_, T>,
        mut y: ArrayViewMut2<'_, T>,
    ) {
        let (scale, offset) = (T::from_f64(self.scale), T::from_f64(self.offset));
        match x {
            Input::Real(x) => Zip::from(&mut y).and(&x).for_each(|y, &x| *y = x * scale + offset),
            Input::Pixels(x) if self.is_plain() => {
                let (Some(x), Some(y)) = (x.to_slice(), y.as_slice_mut()) else {
                    unreachable!("samples lie in order")
                };
                pixels::to_real(x, y);
            }
            Input::Pixels(x) => {
                let table: [T; 256] = std::array::from_fn(|byte| T::from_f64(byte as f64) * scale + offset);
                Zip::from(&mut y).and(&x).for_each(|y, &x| *y = table[usize::from(x)]);
            }
        }
    }

    fn backward(
        &self,
        _: &mut Context<'_, T>,
        _: Weights<'_, T>,
        _: Input<'_, T>,
        _: ArrayView2<'_, T>,
        d: ArrayViewMut2<'_, T>,
        d_x: Option<ArrayViewMut2<'_, T>>,
    ) {
        let scale = T::from_f64(self.scale);
        if let Some(mut d_x) = d_x {
            Zip::from(&mut d_x).and(&d).for_each(|d_x, &d| *d_x = d * scale);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Sequential;
    use ndarray::arr2;

    /// Where no other layer takes pixels for pixel / 255, it makes that of them.
    #[test]
    fn a_lone_rescaling_divides_pixels() {
        let divided = arr2(&[[0.0, 51.0 / 255.0], [1.0, 1.0 / 255.0]]);
        for dropout in [None, Some(0.5)] {
            let stack = Sequential::new([2]).rescaling(1.0 / 255.0, 0.0);
            let model = dropout.into_iter().fold(stack, Sequential::dropout).build(0).unwrap();
            assert_eq!(model.predict(arr2(&[[0_u8, 51], [255, 1]]).view()), divided);
        }
    }
}
