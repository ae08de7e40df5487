//! The product with the transposed kernel, c = a Wᵀ, for the gradient with respect to the input.

use crate::isa::{Isa, Kernel, LANES, SimdElement, Tiled, Vector, array};
use crate::scratch::{Scratch, at_least};
use crate::tile::{Operands, RightOperand, Store, Tile, Workspace, pack_transposed, padded, product};

/// Computes cᵀ = W aᵀ, whose columns are samples. So vectors hold different samples, and W needs no packing.
pub(crate) struct Transposed<'a, T> {
    /// B.
    pub(crate) batch: usize,
    /// I.
    pub(crate) inputs: usize,
    /// \[B, O\] in C order.
    pub(crate) a: &'a [T],
    /// W, \[I, O\] in C order.
    pub(crate) kernel: &'a [T],
    /// \[B, I\] in C order.
    pub(crate) c: &'a mut [T],
    pub(crate) scratch: &'a mut Scratch<T>,
}

impl<T: SimdElement> Kernel for Transposed<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        I::tiled_narrow(self);
    }
}

impl<T: SimdElement> Tiled for Transposed<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa, const M: usize, const V: usize>(self) {
        let Self { batch, inputs, a, kernel, c, scratch } = self;
        let outputs = a.len() / batch;
        let b = at_least(&mut scratch.operand, outputs * padded(batch));
        pack_transposed::<T, V>(a, batch, b);
        let operands = Operands {
            rows: inputs,
            depth: outputs,
            columns: batch,
            a: kernel,
            a_row: outputs,
            a_depth: 1,
            b: RightOperand::Panels(b),
            bias: None,
        };
        let workspace = Workspace { panel: &mut scratch.panel, sums: &mut scratch.sums };
        product::<T, I, _, M, V>(operands, workspace, &mut Columns { c, inputs });
    }
}

/// Stores tiles of cᵀ into c.
struct Columns<'a, T> {
    c: &'a mut [T],
    inputs: usize,
}

impl<T: SimdElement, I: Isa> Store<T, I> for Columns<'_, T> {
    #[inline(always)]
    fn store<const M: usize, const V: usize>(
        &mut self,
        row: usize,
        column: usize,
        width: usize,
        tile: &Tile<T, I, M, V>,
    ) {
        let mut finished = [[[T::zero(); LANES]; V]; M];
        for (finished, vectors) in finished.iter_mut().zip(tile) {
            for (to, vector) in finished.iter_mut().zip(vectors) {
                vector.finished::<false>().store(to);
            }
        }
        let c = &mut self.c[column * self.inputs..];
        for (sample, c) in c.chunks_exact_mut(self.inputs).take(width).enumerate() {
            let (v, lane) = (sample / LANES, sample % LANES);
            let c: &mut [T; M] = c[row..].first_chunk_mut().expect("an input for each row of the tile");
            *c = array(|m| finished[m][v][lane]);
        }
    }
}
