//! What goes into a layer.

use ndarray::{ArrayView2, CowArray, Ix2, s};
use ziffer_tensor::{Scalar, pixels};

/// The input of a layer: B samples as rows.
///
/// Rows lie in order, one after the other, but for a layer that shares out channels: it gets some columns of such rows.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a, T> {
    /// Numbers.
    Real(ArrayView2<'a, T>),
    /// Pixel bytes, each of which stands for byte / 255. Only the first layer that computes gets these; a
    /// [`Rescaling`](crate::Rescaling) takes the bytes as they are.
    Pixels(ArrayView2<'a, u8>),
}

/// What a network's samples consist of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputType {
    /// Numbers.
    Real,
    /// Pixel bytes.
    Pixels,
}

impl<'a, T: Scalar> Input<'a, T> {
    /// \[B, I\].
    pub fn dim(&self) -> (usize, usize) {
        match self {
            Self::Real(x) => x.dim(),
            Self::Pixels(x) => x.dim(),
        }
    }

    /// The same samples for a shorter time.
    pub fn reborrow(&self) -> Input<'_, T> {
        match self {
            Self::Real(x) => Input::Real(x.view()),
            Self::Pixels(x) => Input::Pixels(x.view()),
        }
    }

    /// As numbers; pixels are copied.
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

    /// The samples as rows of `width` numbers, a channel a column, and of these some columns.
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

/// A type that samples may consist of.
pub trait Feature<T: Scalar>: Copy + Default + Send + Sync + 'static {
    /// Rows of it as a layer's input.
    fn input(rows: ArrayView2<'_, Self>) -> Input<'_, T>;

    /// What samples of it are to a network.
    fn input_type() -> InputType {
        match Self::input(ArrayView2::from_shape((0, 1), &[]).expect("no rows")) {
            Input::Real(_) => InputType::Real,
            Input::Pixels(_) => InputType::Pixels,
        }
    }
}

impl<T: Scalar> Feature<T> for u8 {
    fn input(rows: ArrayView2<'_, u8>) -> Input<'_, T> {
        Input::Pixels(rows)
    }
}

impl Feature<f32> for f32 {
    fn input(rows: ArrayView2<'_, f32>) -> Input<'_, f32> {
        Input::Real(rows)
    }
}

impl Feature<f64> for f64 {
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
        // Two pictures of two pixels of three channels.
        let x = arr2(&[[1_u8, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 255]]);
        let Input::Pixels(part) = Input::<f32>::Pixels(x.view()).channels(3, 1..3) else { panic!("numbers") };
        assert_eq!(part, arr2(&[[2, 3], [5, 6], [8, 9], [11, 255]]));
        let real = Input::<f64>::Pixels(part).to_real();
        assert_eq!(real[[0, 0]], 2.0 / 255.0);
        assert_eq!(real[[3, 1]], 1.0);
    }
}
