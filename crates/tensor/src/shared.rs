//! A slice that the workers of a thread team share: they write disjoint parts of it and read all of it, separated by barriers.

use std::marker::PhantomData;
use std::ops::Range;
use std::ptr::NonNull;

use ndarray::{ArrayView2, ArrayViewMut2, ShapeBuilder};

/// A mutable slice that all workers of a [`crate::thread_team::ThreadTeam`] access.
///
/// Between two barriers, each element is either written by one worker or read by any number of workers. The caller guarantees
/// this, not the type system. So all accessors are unsafe.
#[derive(Debug)]
pub struct Shared<'a, T> {
    start: NonNull<T>,
    len: usize,
    borrow: PhantomData<&'a mut [T]>,
}

// SAFETY: a `Shared` is a `&mut [T]` that is accessed in parts. Sending a part to another thread needs `T: Send`. Reading an
// element from several threads needs `T: Sync`. The contract of the unsafe accessors excludes that a thread accesses an element
// that another thread writes.
unsafe impl<T: Send + Sync> Sync for Shared<'_, T> {}
// SAFETY: the proof is that of `Sync`.
unsafe impl<T: Send + Sync> Send for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    /// Borrows `slice` until the result is dropped.
    pub fn new(slice: &'a mut [T]) -> Self {
        let len = slice.len();
        Self { start: NonNull::from(slice).cast(), len, borrow: PhantomData }
    }

    /// Returns the number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the slice has no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the elements of `range` for reading.
    ///
    /// # Safety
    /// While the result lives, no mutable slice or view of this `Shared` that overlaps it may exist.
    ///
    /// # Panics
    /// If `range` exceeds the slice.
    #[inline]
    pub unsafe fn get(&self, range: Range<usize>) -> &[T] {
        self.check(&range);
        // SAFETY: the range lies within the borrowed slice, as checked above, and the slice outlives `self`. The caller
        // guarantees that no thread writes these elements.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().add(range.start), range.len()) }
    }

    /// Returns the elements of `range` for writing.
    ///
    /// # Safety
    /// While the result lives, no other slice or view of this `Shared` that overlaps it may exist.
    ///
    /// # Panics
    /// If `range` exceeds the slice.
    #[inline]
    #[expect(clippy::mut_from_ref, reason = "the caller guarantees what a unique borrow would prove")]
    pub unsafe fn get_mut(&self, range: Range<usize>) -> &mut [T] {
        self.check(&range);
        // SAFETY: the range lies within the borrowed slice, as checked above. The slice outlives `self` and was borrowed
        // uniquely. The caller guarantees that nothing else accesses these elements.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr().add(range.start), range.len()) }
    }

    /// Returns a mutable view of the given rows and columns of a matrix.
    ///
    /// `range` holds the matrix in C order. `width` is the number of its columns.
    ///
    /// # Safety
    /// While the result lives, no other slice or view of this `Shared` that overlaps these rows and columns may exist.
    ///
    /// # Panics
    /// If `range` exceeds the slice, its length is not a multiple of `width`, `width` is 0, or `rows` or `columns` exceed the
    /// matrix.
    pub unsafe fn matrix_mut(
        &self,
        range: Range<usize>,
        width: usize,
        rows: Range<usize>,
        columns: Range<usize>,
    ) -> ArrayViewMut2<'_, T> {
        self.check_matrix(&range, width, &rows, &columns);
        if rows.is_empty() || columns.is_empty() {
            return ArrayViewMut2::from_shape((rows.len(), columns.len()), &mut []).expect("an empty view");
        }
        let shape = (rows.len(), columns.len()).strides((width, 1));
        // SAFETY: the elements of the view lie within the borrowed slice, as checked above, and no two of them are the same. The
        // slice outlives `self` and was borrowed uniquely. The caller guarantees that nothing else accesses these elements.
        unsafe {
            ArrayViewMut2::from_shape_ptr(
                shape,
                self.start.as_ptr().add(range.start + rows.start * width + columns.start),
            )
        }
    }

    /// Returns a view of the given rows and columns of a matrix, with the arguments of [`Shared::matrix_mut`].
    ///
    /// # Safety
    /// While the result lives, no mutable slice or view of this `Shared` that overlaps these rows and columns may exist.
    ///
    /// # Panics
    /// Under the conditions of [`Shared::matrix_mut`].
    pub unsafe fn matrix(
        &self,
        range: Range<usize>,
        width: usize,
        rows: Range<usize>,
        columns: Range<usize>,
    ) -> ArrayView2<'_, T> {
        self.check_matrix(&range, width, &rows, &columns);
        if rows.is_empty() || columns.is_empty() {
            return ArrayView2::from_shape((rows.len(), columns.len()), &[]).expect("an empty view");
        }
        let shape = (rows.len(), columns.len()).strides((width, 1));
        // SAFETY: the elements of the view lie within the borrowed slice, as checked above, and the slice outlives `self`. The
        // caller guarantees that no thread writes them.
        unsafe {
            ArrayView2::from_shape_ptr(
                shape,
                self.start.as_ptr().add(range.start + rows.start * width + columns.start),
            )
        }
    }

    fn check_matrix(&self, range: &Range<usize>, width: usize, rows: &Range<usize>, columns: &Range<usize>) {
        self.check(range);
        assert!(
            width > 0 && range.len().is_multiple_of(width),
            "{} elements in rows of {width}",
            range.len()
        );
        assert!(
            rows.start <= rows.end
                && rows.end <= range.len() / width
                && columns.start <= columns.end
                && columns.end <= width,
            "rows {rows:?} and columns {columns:?} of a matrix [{}, {width}]",
            range.len() / width
        );
    }

    fn check(&self, range: &Range<usize>) {
        assert!(range.start <= range.end && range.end <= self.len, "{range:?} of a slice of {}", self.len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::thread_team::ThreadTeam;

    /// An adverse case: more workers than cores, parts that share a cache line, thousands of rounds. Each round computes every
    /// element from itself and its neighbors, so that a stale or torn read changes the final values.
    #[test]
    fn rounds_of_reading_and_writing() {
        const LEN: usize = 37;
        // Miri takes a thousand times as long.
        let rounds = if cfg!(miri) { 6 } else { 2_000 };
        let reference = |rounds: usize| {
            let mut values: Vec<u64> = (0..LEN as u64).collect();
            for _ in 0..rounds {
                values = (0..LEN)
                    .map(|i| {
                        values[i].wrapping_mul(3)
                            ^ values[(i + 1) % LEN].wrapping_add(values[(i + LEN - 1) % LEN])
                    })
                    .collect();
            }
            values
        };
        for size in [1, 2, 3, 7] {
            let (mut a, mut b): (Vec<u64>, Vec<u64>) = ((0..LEN as u64).collect(), vec![0; LEN]);
            let (from, to) = (Shared::new(&mut a), Shared::new(&mut b));
            ThreadTeam::new(size).unwrap().run(|worker| {
                for round in 0..rounds {
                    let (from, to) = if round % 2 == 0 { (&from, &to) } else { (&to, &from) };
                    let share = worker.share(LEN);
                    // SAFETY: in this round `from` is only read and `to` only written, each part by one worker. The
                    // barrier separates the rounds.
                    let (read, write) = unsafe { (from.get(0..LEN), to.get_mut(share.clone())) };
                    for (i, x) in share.zip(write) {
                        *x = read[i].wrapping_mul(3)
                            ^ read[(i + 1) % LEN].wrapping_add(read[(i + LEN - 1) % LEN]);
                    }
                    worker.wait();
                }
            });
            assert_eq!(a, reference(rounds), "{size} workers");
        }
    }

    /// Workers write columns that share a cache line. Between the rounds they read the whole matrix.
    #[test]
    fn columns_in_one_cache_line() {
        let (rows, width) = (5, 11);
        let mut a = vec![0_u32; 3 + rows * width];
        let shared = Shared::new(&mut a);
        ThreadTeam::new(3).unwrap().run(|worker| {
            for round in 1..=if cfg!(miri) { 5 } else { 500 } {
                // SAFETY: the workers' columns are disjoint, and the barriers separate writing from reading.
                let mut part =
                    unsafe { shared.matrix_mut(3..3 + rows * width, width, 1..rows, worker.share(width)) };
                part.iter_mut().for_each(|x| *x += round);
                worker.wait();
                // SAFETY: no worker writes before the next barrier.
                let all = unsafe { shared.get(0..3 + rows * width) };
                // SAFETY: no worker writes before the next barrier.
                let part = unsafe { shared.matrix(3..3 + rows * width, width, 1..rows, 2..4) };
                assert!(part.dim() == (rows - 1, 2) && part.iter().all(|&x| x == round * (round + 1) / 2));
                assert!(all[..3 + width].iter().all(|&x| x == 0));
                assert!(all[3 + width..].iter().all(|&x| x == round * (round + 1) / 2));
                worker.wait();
            }
        });
    }

    #[test]
    #[should_panic(expected = "of a slice of 3")]
    fn a_range_beyond_the_end_panics() {
        let mut a = [1, 2, 3];
        let shared = Shared::new(&mut a);
        // SAFETY: no other slice or view of `shared` exists.
        let _ = unsafe { shared.get(2..4) };
    }
}
