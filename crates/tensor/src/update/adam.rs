//! Adam and AdamW.

use ndarray::s;

use crate::Scalar;
use crate::kernels::adam::AdamUpdate;

pub use crate::kernels::adam::{Adam, Parameters};

/// Updates parameters by one step of Adam (Kingma and Ba 2015, in the form before section 2.1, as in
/// `keras/src/optimizers/adam.py`) or of AdamW (Loshchilov and Hutter 2019):
/// w -= decay w; m += (g - m)(1 - beta1); v += (g^2 - v)(1 - beta2); w -= alpha m / (sqrt(v) + epsilon).
///
/// # Panics
/// If the lengths differ.
pub fn adam<T: Scalar>(w: &mut [T], m: &mut [T], v: &mut [T], g: &[T], constants: Adam<T>) {
    assert!(w.len() == g.len() && m.len() == g.len() && v.len() == g.len(), "parameters, state and gradient");
    T::adam(AdamUpdate { w, m, v, g, constants });
}

impl<T: Scalar> Parameters<'_, T> {
    /// Updates the rows from `first` on by their gradient `g`, which is in C order.
    pub(crate) fn update_rows(&mut self, first: usize, g: &[T]) {
        let columns = self.w.ncols();
        let rows = first..first + g.len() / columns;
        let [mut w, mut m, mut v] =
            [&mut self.w, &mut self.m, &mut self.v].map(|matrix| matrix.slice_mut(s![rows.clone(), ..]));
        match (w.as_slice_mut(), m.as_slice_mut(), v.as_slice_mut()) {
            (Some(w), Some(m), Some(v)) => adam(w, m, v, g, self.step),
            _ => {
                let contiguous = "contiguous rows";
                for (((w, m), v), g) in
                    w.rows_mut().into_iter().zip(m.rows_mut()).zip(v.rows_mut()).zip(g.chunks_exact(columns))
                {
                    let [w, m, v] = [w, m, v].map(|row| row.into_slice().expect(contiguous));
                    adam(w, m, v, g, self.step);
                }
            }
        }
    }

    /// Checks the shape and the memory layout of the three matrices.
    ///
    /// # Panics
    /// If a matrix has a different shape, or the elements of its rows are not contiguous.
    pub(crate) fn check(&self, rows: usize, columns: usize) {
        for matrix in [&self.w, &self.m, &self.v] {
            assert_eq!(matrix.dim(), (rows, columns), "the parameters' shape");
            assert!(
                rows == 0 || columns <= 1 || matrix.strides()[1] == 1,
                "the rows of the parameters are not contiguous"
            );
        }
    }
}
