//! Matrix products in the three orientations that a dense layer needs.
//!
//! | function | product | shapes | used for |
//! |---|---|---|---|
//! | [`affine`] | y = f(x W + b) | x \[B, I\], W \[I, O\], b \[O\], y \[B, O\] | forward |
//! | [`matmul_nt`] | c = a Wᵀ | a \[B, O\], W \[I, O\], c \[B, I\] | gradient by the input |
//! | [`matmul_tn`] | c = xᵀ d | x \[B, I\], d \[B, O\], c \[I, O\] | gradient by the kernel |
//!
//! These split their work over rayon's threads when there is enough of it. [`serial`] has the same on the calling
//! thread alone, for a caller that has split the work already. Both give the same bits.

use ndarray::parallel::prelude::*;
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2, Axis};

use crate::{Activation, Scalar};

/// Floating-point operations below which a product stays on one thread.
///
/// Waking a sleeping worker of rayon takes some 20 to 40 microseconds, in which a core does about 4 million operations.
const PARALLEL_FLOP: usize = 8_000_000;

/// Rows of the result in one piece of parallel work: some tiles of every instruction set.
const PIECE: usize = 48;

fn is_worth_splitting(rows: usize, depth: usize, columns: usize) -> bool {
    rows > PIECE && 2 * rows * depth * columns >= PARALLEL_FLOP
}

/// y = f(x W + b), with f elementwise or a softmax by row.
///
/// # Panics
/// If the shapes do not fit together.
pub fn affine<T: Scalar>(
    x: ArrayView2<'_, T>,
    kernel: ArrayView2<'_, T>,
    bias: Option<ArrayView1<'_, T>>,
    activation: Activation,
    mut y: ArrayViewMut2<'_, T>,
) {
    if !is_worth_splitting(x.nrows(), x.ncols(), kernel.ncols()) {
        return serial::affine(x, kernel, bias, activation, y);
    }
    y.axis_chunks_iter_mut(Axis(0), PIECE)
        .into_par_iter()
        .zip(x.axis_chunks_iter(Axis(0), PIECE))
        .for_each(|(y, x)| serial::affine(x, kernel, bias, activation, y));
}

/// c = a Wᵀ.
///
/// # Panics
/// If the shapes do not fit together.
pub fn matmul_nt<T: Scalar>(a: ArrayView2<'_, T>, kernel: ArrayView2<'_, T>, mut c: ArrayViewMut2<'_, T>) {
    if !is_worth_splitting(a.nrows(), a.ncols(), kernel.nrows()) {
        return serial::matmul_nt(a, kernel, c);
    }
    c.axis_chunks_iter_mut(Axis(0), PIECE)
        .into_par_iter()
        .zip(a.axis_chunks_iter(Axis(0), PIECE))
        .for_each(|(c, a)| serial::matmul_nt(a, kernel, c));
}

/// c = xᵀ d.
///
/// # Panics
/// If the shapes do not fit together.
pub fn matmul_tn<T: Scalar>(x: ArrayView2<'_, T>, d: ArrayView2<'_, T>, mut c: ArrayViewMut2<'_, T>) {
    assert_eq!(c.dim(), (x.ncols(), d.ncols()), "the result's shape");
    if !is_worth_splitting(x.ncols(), x.nrows(), d.ncols()) {
        serial::matmul_tn(x, d, 0..x.ncols(), &mut |row, values: &[T]| fill_rows(&mut c, row, values));
        return;
    }
    c.axis_chunks_iter_mut(Axis(0), PIECE).into_par_iter().enumerate().for_each(|(piece, mut c)| {
        let first = piece * PIECE;
        let rows = first..first + c.nrows();
        serial::matmul_tn(x, d, rows, &mut |row, values: &[T]| fill_rows(&mut c, row - first, values));
    });
}

fn fill_rows<T: Scalar>(c: &mut ArrayViewMut2<'_, T>, first: usize, values: &[T]) {
    let columns = c.ncols();
    for (row, values) in values.chunks_exact(columns).enumerate() {
        c.row_mut(first + row).iter_mut().zip(values).for_each(|(c, &value)| *c = value);
    }
}

/// The products on the calling thread.
pub mod serial {
    use std::ops::Range;

    use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2, CowArray, Ix2};

    use crate::isa::{self, Isa, Kernel, LANES, Tiled};
    use crate::scratch::{self, Scratch, at_least};
    use crate::tile::{Lanes, Operands, Store, product};
    use crate::{Activation, Scalar};

    /// Numbers of a result that are handed on at a time: they stay in the first-level cache.
    const HANDED_ON: usize = 1024;

    /// The elements of a matrix in C order, copied only if they are not so already.
    fn in_order<'a, T: Scalar>(matrix: &'a ArrayView2<'a, T>) -> CowArray<'a, T, Ix2> {
        matrix.as_standard_layout()
    }

    /// As [`super::affine`].
    ///
    /// # Panics
    /// If the shapes do not fit together.
    pub fn affine<T: Scalar>(
        x: ArrayView2<'_, T>,
        kernel: ArrayView2<'_, T>,
        bias: Option<ArrayView1<'_, T>>,
        activation: Activation,
        mut y: ArrayViewMut2<'_, T>,
    ) {
        assert_eq!(x.ncols(), kernel.nrows(), "columns of x and rows of the kernel");
        assert_eq!(y.dim(), (x.nrows(), kernel.ncols()), "the result's shape");
        assert!(bias.is_none_or(|bias| bias.len() == kernel.ncols()), "the bias's length");
        let (x, kernel) = (in_order(&x), in_order(&kernel));
        let bias = bias.as_ref().map(|bias| bias.as_standard_layout());
        let (rows, columns) = y.dim();
        let operands = Operands {
            rows,
            depth: x.ncols(),
            columns,
            a: x.as_slice().expect("in order"),
            a_row: x.ncols(),
            a_depth: 1,
            b: kernel.as_slice().expect("in order"),
            b_depth: columns,
            bias: bias.as_ref().map(|bias| bias.as_slice().expect("in order")),
        };
        match y.as_slice_mut() {
            Some(y) => forward(operands, activation, y),
            None => {
                let mut result = vec![T::zero(); rows * columns];
                forward(operands, activation, &mut result);
                y.iter_mut().zip(result).for_each(|(y, value)| *y = value);
            }
        }
    }

    /// The forward product into `y`, rows side by side, and the activation.
    pub(crate) fn forward<T: Scalar>(operands: Operands<'_, T>, activation: Activation, y: &mut [T]) {
        let columns = operands.columns;
        let relu = activation == Activation::Relu;
        scratch::with(|scratch| isa::run(Forward { operands, relu, y, scratch }));
        if !relu {
            activation.apply(y, columns);
        }
    }

    struct Forward<'a, T: Scalar> {
        operands: Operands<'a, T>,
        relu: bool,
        y: &'a mut [T],
        scratch: &'a mut Scratch<T>,
    }

    impl<T: Scalar> Kernel for Forward<'_, T> {
        type Output = ();
        #[inline(always)]
        fn run<I: Isa>(self) {
            I::tiled(self);
        }
    }

    impl<T: Scalar> Tiled for Forward<'_, T> {
        type Output = ();
        #[inline(always)]
        fn run<I: Isa, const M: usize, const V: usize>(self) {
            let stride = self.operands.columns;
            if self.relu {
                let mut store = Rows::<T, true> { y: self.y, stride };
                product::<T, I, _, M, V>(self.operands, &mut self.scratch.panel, &mut store);
            } else {
                let mut store = Rows::<T, false> { y: self.y, stride };
                product::<T, I, _, M, V>(self.operands, &mut self.scratch.panel, &mut store);
            }
        }
    }

    /// Puts a tile into rows that lie `stride` apart.
    struct Rows<'a, T, const RELU: bool> {
        y: &'a mut [T],
        stride: usize,
    }

    impl<T: Scalar, const RELU: bool> Store<T> for Rows<'_, T, RELU> {
        #[inline(always)]
        fn store<const M: usize, const V: usize>(
            &mut self,
            row: usize,
            column: usize,
            width: usize,
            tile: &[[Lanes<T>; V]; M],
        ) {
            for (m, vectors) in tile.iter().enumerate() {
                let y = &mut self.y[(row + m) * self.stride + column..][..width];
                if width == V * LANES {
                    for (y, vector) in y.chunks_exact_mut(LANES).zip(vectors) {
                        for (y, &value) in y.iter_mut().zip(vector) {
                            *y = finish::<T, RELU>(value);
                        }
                    }
                } else {
                    for (y, &value) in y.iter_mut().zip(&vectors[0]) {
                        *y = finish::<T, RELU>(value);
                    }
                }
            }
        }
    }

    /// What becomes of a sum on its way to memory.
    ///
    /// Adding zero turns -0 into +0 and changes nothing else. A kernel that skips zero inputs and one that multiplies
    /// by them can differ in the sign of a zero sum only, so after it they do not differ at all.
    #[inline(always)]
    pub(crate) fn finish<T: Scalar, const RELU: bool>(sum: T) -> T {
        let sum = sum + T::zero();
        // NaN stays NaN.
        if RELU && sum < T::zero() { T::zero() } else { sum }
    }

    /// As [`super::matmul_nt`].
    ///
    /// # Panics
    /// If the shapes do not fit together.
    pub fn matmul_nt<T: Scalar>(
        a: ArrayView2<'_, T>,
        kernel: ArrayView2<'_, T>,
        mut c: ArrayViewMut2<'_, T>,
    ) {
        assert_eq!(a.ncols(), kernel.ncols(), "columns of a and of the kernel");
        assert_eq!(c.dim(), (a.nrows(), kernel.nrows()), "the result's shape");
        let (a, kernel) = (in_order(&a), in_order(&kernel));
        let (a, kernel) = (a.as_slice().expect("in order"), kernel.as_slice().expect("in order"));
        let (batch, inputs) = c.dim();
        match c.as_slice_mut() {
            Some(c) => transposed(batch, inputs, a, kernel, c),
            None => {
                let mut result = vec![T::zero(); batch * inputs];
                transposed(batch, inputs, a, kernel, &mut result);
                c.iter_mut().zip(result).for_each(|(c, value)| *c = value);
            }
        }
    }

    /// Computes cᵀ = W aᵀ, whose columns are samples: vectors lie across the batch, and W is read as it is.
    fn transposed<T: Scalar>(batch: usize, inputs: usize, a: &[T], kernel: &[T], c: &mut [T]) {
        if batch == 0 || inputs == 0 {
            return;
        }
        let depth = a.len() / batch;
        let padded = batch.next_multiple_of(LANES);
        scratch::with(|scratch: &mut Scratch<T>| {
            let mut operand = scratch.operand.take();
            let b = at_least(&mut operand, depth * padded);
            for (k, column) in b.chunks_exact_mut(padded).enumerate() {
                for (sample, value) in column[..batch].iter_mut().enumerate() {
                    *value = a[sample * depth + k];
                }
                column[batch..].fill(T::zero());
            }
            let operands = Operands {
                rows: inputs,
                depth,
                columns: padded,
                a: kernel,
                a_row: depth,
                a_depth: 1,
                b,
                b_depth: padded,
                bias: None,
            };
            isa::run(Transposed { operands, store: Columns { c, batch, inputs }, scratch });
            scratch.operand = operand;
        });
    }

    struct Transposed<'a, T: Scalar> {
        operands: Operands<'a, T>,
        store: Columns<'a, T>,
        scratch: &'a mut Scratch<T>,
    }

    impl<T: Scalar> Kernel for Transposed<'_, T> {
        type Output = ();
        #[inline(always)]
        fn run<I: Isa>(self) {
            I::tiled(self);
        }
    }

    impl<T: Scalar> Tiled for Transposed<'_, T> {
        type Output = ();
        #[inline(always)]
        fn run<I: Isa, const M: usize, const V: usize>(mut self) {
            product::<T, I, _, M, V>(self.operands, &mut self.scratch.panel, &mut self.store);
        }
    }

    /// Puts a tile of cᵀ into c.
    struct Columns<'a, T> {
        c: &'a mut [T],
        batch: usize,
        inputs: usize,
    }

    impl<T: Scalar> Store<T> for Columns<'_, T> {
        #[inline(always)]
        fn store<const M: usize, const V: usize>(
            &mut self,
            row: usize,
            column: usize,
            width: usize,
            tile: &[[Lanes<T>; V]; M],
        ) {
            for sample in column..(column + width).min(self.batch) {
                let (v, lane) = ((sample - column) / LANES, (sample - column) % LANES);
                let c = &mut self.c[sample * self.inputs + row..][..M];
                for (c, vectors) in c.iter_mut().zip(tile) {
                    *c = finish::<T, false>(vectors[v][lane]);
                }
            }
        }
    }

    /// Rows `rows` of xᵀ d, \[I, O\], handed to `sink` in ascending order, some whole rows at a time: the index of the
    /// first, and their elements in C order.
    ///
    /// # Panics
    /// If the shapes do not fit together or `rows` reaches beyond the columns of `x`.
    pub fn matmul_tn<T: Scalar>(
        x: ArrayView2<'_, T>,
        d: ArrayView2<'_, T>,
        rows: Range<usize>,
        sink: &mut dyn FnMut(usize, &[T]),
    ) {
        assert_eq!(x.nrows(), d.nrows(), "samples of both operands");
        assert!(rows.start <= rows.end && rows.end <= x.ncols(), "rows {rows:?} of {}", x.ncols());
        let (x, d) = (in_order(&x), in_order(&d));
        let (batch, outputs) = d.dim();
        let (x, d) = (x.as_slice().expect("in order"), d.as_slice().expect("in order"));
        scratch::with(|scratch| outer_products(x, d, batch, outputs, rows, scratch, sink));
    }

    /// As [`matmul_tn`], on slices in C order.
    pub(crate) fn outer_products<T: Scalar>(
        x: &[T],
        d: &[T],
        batch: usize,
        outputs: usize,
        rows: Range<usize>,
        scratch: &mut Scratch<T>,
        sink: &mut dyn FnMut(usize, &[T]),
    ) {
        if rows.is_empty() || outputs == 0 {
            return;
        }
        let inputs = if batch == 0 { rows.end } else { x.len() / batch };
        let padded = outputs.next_multiple_of(LANES);
        let mut operand = scratch.operand.take();
        let b = if padded == outputs {
            d
        } else {
            let b = at_least(&mut operand, batch * padded);
            for (line, d) in b.chunks_exact_mut(padded).zip(d.chunks_exact(outputs)) {
                line[..outputs].copy_from_slice(d);
                line[outputs..].fill(T::zero());
            }
            &*b
        };
        // 24 rows are whole tiles of every instruction set.
        let group = (HANDED_ON / outputs).max(1).next_multiple_of(24);
        let mut finished = scratch.rows.take();
        let mut first = rows.start;
        while first < rows.end {
            let count = group.min(rows.end - first);
            let finished = at_least(&mut finished, count * outputs);
            let operands = Operands {
                rows: count,
                depth: batch,
                columns: padded,
                a: &x[first.min(x.len())..],
                a_row: 1,
                a_depth: inputs,
                b,
                b_depth: padded,
                bias: None,
            };
            isa::run(Outer { operands, store: Trimmed { c: finished, outputs }, scratch });
            sink(first, finished);
            first += count;
        }
        scratch.rows = finished;
        scratch.operand = operand;
    }

    struct Outer<'a, T: Scalar> {
        operands: Operands<'a, T>,
        store: Trimmed<'a, T>,
        scratch: &'a mut Scratch<T>,
    }

    impl<T: Scalar> Kernel for Outer<'_, T> {
        type Output = ();
        #[inline(always)]
        fn run<I: Isa>(self) {
            I::tiled(self);
        }
    }

    impl<T: Scalar> Tiled for Outer<'_, T> {
        type Output = ();
        #[inline(always)]
        fn run<I: Isa, const M: usize, const V: usize>(mut self) {
            product::<T, I, _, M, V>(self.operands, &mut self.scratch.panel, &mut self.store);
        }
    }

    /// Puts a tile of padded columns into rows of `outputs` elements.
    struct Trimmed<'a, T> {
        c: &'a mut [T],
        outputs: usize,
    }

    impl<T: Scalar> Store<T> for Trimmed<'_, T> {
        #[inline(always)]
        fn store<const M: usize, const V: usize>(
            &mut self,
            row: usize,
            column: usize,
            _width: usize,
            tile: &[[Lanes<T>; V]; M],
        ) {
            for (m, vectors) in tile.iter().enumerate() {
                let c = &mut self.c[(row + m) * self.outputs + column..(row + m + 1) * self.outputs];
                if c.len() >= V * LANES {
                    for (c, vector) in c.chunks_exact_mut(LANES).zip(vectors) {
                        for (c, &value) in c.iter_mut().zip(vector) {
                            *c = finish::<T, false>(value);
                        }
                    }
                } else {
                    for (c, &value) in c.iter_mut().zip(vectors.as_flattened()) {
                        *c = finish::<T, false>(value);
                    }
                }
            }
        }
    }
}
