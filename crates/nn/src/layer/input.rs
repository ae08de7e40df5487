//! The input of a layer.

use ndarray::{ArrayView2, CowArray, Ix2, s};
use ziffer_tensor::{Scalar, pixels};

/// The input of a layer: B samples as rows.
///
/// The rows are contiguous, except for a layer that is parallel over channels: it gets some columns of the rows.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a, T> {
    /// Numbers.
    Real(ArrayView2<'a, T>),
    /// Pixel bytes. Each stands for byte / 255, except in a [`Rescaling`](crate::Rescaling), which takes the bytes themselves.
    /// Only the first layer that computes gets pixels.
    Pixels(ArrayView2<'a, u8>),
}

/// The type of a model's samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputType {
    /// Numbers.
    Real,
    /// Pixel bytes.
    Pixels,
}

impl<'a, T: Scalar> Input<'a, T> {
    /// The numbers of rows and columns: (B, I).
    pub fn dim(&self) -> (usize, usize) {
        match self {
            Self::Real(x) => x.dim(),
            Self::Pixels(x) => x.dim(),
        }
    }

    /// The same samples with a shorter lifetime.
    pub fn reborrow(&self) -> Input<'_, T> {
        match self {
            Self::Real(x) => Input::Real(x.view()),
            Self::Pixels(x) => Input::Pixels(x.view()),
        }
    }

    /// The samples as numbers. Pixels are converted to new memory.
    pub fn to_real(&self) -> CowArray<'a, T, Ix2> {
        match self {
            Self::Real(x) => CowArray::from(*x),
            Self::Pixels(x) => {
                let mut real = ndarray::Array2::zeros(x.dim());
                match (x.to_slice(), real.as_slice_mut()) {
                    (Some(x), Some(real)) => pixels::to_real(x, real),
                    _ => real.zip_mut_with(x, |real, &pixel| {
                        *real = T::from_f64(f64::from(pixel)) / T::from_f64(255.0);
                    }),
                }
                CowArray::from(real)
            }
        }
    }

    /// Some of the rows.
    pub(crate) fn rows(&self, rows: std::ops::Range<usize>) -> Input<'_, T> {
        match self {
            Self::Real(x) => Input::Real(x.slice(s![rows, ..])),
            Self::Pixels(x) => Input::Pixels(x.slice(s![rows, ..])),
        }
    }

    /// Some columns of the samples, arranged as rows of `width` numbers with one column per channel.
    pub(crate) fn channels(self, width: usize, columns: std::ops::Range<usize>) -> Self {
        fn of<V>(x: ArrayView2<'_, V>, width: usize, columns: std::ops::Range<usize>) -> ArrayView2<'_, V> {
            let rows = x.len() / width;
            let x = x.into_shape_with_order((rows, width)).expect("samples of whole channels, in order");
            x.slice_move(s![.., columns])
        }
        match self {
            Self::Real(x) => Self::Real(of(x, width, columns)),
            Self::Pixels(x) => Self::Pixels(of(x, width, columns)),
        }
    }
}

/// A type that the values of samples may have: `u8` for pixels, or the model's number type.
pub trait SampleValue<T: Scalar>: Copy + Default + Send + Sync + 'static {
    /// Rows of these values as a layer's input.
    fn input(rows: ArrayView2<'_, Self>) -> Input<'_, T>;

    /// The type of samples with these values.
    fn input_type() -> InputType {
        match Self::input(ArrayView2::from_shape((0, 1), &[]).expect("no rows")) {
            Input::Real(_) => InputType::Real,
            Input::Pixels(_) => InputType::Pixels,
        }
    }
}

/// Rows of samples as the input of the first layer, whose shape a [`SampleValue`] of the user must not change.
pub(crate) fn checked_input<T: Scalar, V: SampleValue<T>>(x: ArrayView2<'_, V>) -> Input<'_, T> {
    let expected = x.dim();
    let input = V::input(x);
    assert_eq!(input.dim(), expected, "the shape of the input that SampleValue::input returns");
    input
}

impl<T: Scalar> SampleValue<T> for u8 {
    fn input(rows: ArrayView2<'_, u8>) -> Input<'_, T> {
        Input::Pixels(rows)
    }
}

impl SampleValue<f32> for f32 {
    fn input(rows: ArrayView2<'_, f32>) -> Input<'_, f32> {
        Input::Real(rows)
    }
}

impl SampleValue<f64> for f64 {
    fn input(rows: ArrayView2<'_, f64>) -> Input<'_, f64> {
        Input::Real(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::arr2;

    #[test]
    fn channels_are_columns_of_the_last_axis() {
        // Two images of two pixels with three channels.
        let x = arr2(&[[1_u8, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 255]]);
        let Input::Pixels(columns) = Input::<f32>::Pixels(x.view()).channels(3, 1..3) else {
            panic!("numbers")
        };
        assert_eq!(columns, arr2(&[[2, 3], [5, 6], [8, 9], [11, 255]]));
        let real = Input::<f64>::Pixels(columns).to_real();
        assert_eq!(real[[0, 0]], 2.0 / 255.0);
        assert_eq!(real[[3, 1]], 1.0);
    }
}
