//! A slice that the workers of a team write in parts and read as a whole, by turns.

use std::marker::PhantomData;
use std::ops::Range;
use std::ptr::NonNull;

use ndarray::{ArrayView2, ArrayViewMut2, ShapeBuilder};

/// A mutable slice lent to all workers of a [`crate::thread_team::ThreadTeam`].
///
/// Within a phase, that is between two meetings of the team, each element is either written by one worker or read by
/// any. Which it is follows from the computation's plan, not from types; so the two ways in are unsafe.
#[derive(Debug)]
pub struct Shared<'a, T> {
    start: NonNull<T>,
    len: usize,
    of: PhantomData<&'a mut [T]>,
}

// SAFETY: it is a `&mut [T]` in parts. Sending a part to another thread needs `T: Send`, reading one element from
// several threads needs `T: Sync`; that nobody reads what another writes is the contract of the two accessors.
unsafe impl<T: Send + Sync> Sync for Shared<'_, T> {}
// SAFETY: as for `Sync`.
unsafe impl<T: Send + Sync> Send for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    /// Lends `slice` until the result is dropped.
    pub fn new(slice: &'a mut [T]) -> Self {
        let len = slice.len();
        Self { start: NonNull::from(slice).cast(), len, of: PhantomData }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The elements of `range`, to be read.
    ///
    /// # Safety
    /// While the result lives, nobody may hold one of [`Shared::get_mut`] that overlaps it.
    ///
    /// # Panics
    /// If `range` reaches beyond the end.
    #[inline]
    pub unsafe fn get(&self, range: Range<usize>) -> &[T] {
        self.check(&range);
        // SAFETY: within the lent slice, which outlives `self`; that nobody writes it is the caller's promise.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().add(range.start), range.len()) }
    }

    /// The elements of `range`, to be written.
    ///
    /// # Safety
    /// While the result lives, nobody else may hold anything of this slice that overlaps it.
    ///
    /// # Panics
    /// If `range` reaches beyond the end.
    #[inline]
    #[expect(clippy::mut_from_ref, reason = "the caller promises what a unique borrow would prove")]
    pub unsafe fn get_mut(&self, range: Range<usize>) -> &mut [T] {
        self.check(&range);
        // SAFETY: within the lent slice, which outlives `self` and was borrowed uniquely; that nobody else touches this
        // part is the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr().add(range.start), range.len()) }
    }

    /// Some rows and columns, to be written, of the matrix in C order that `range` holds, whose rows are `width` long.
    ///
    /// # Safety
    /// As for [`Shared::get_mut`]: nobody else may hold anything that overlaps these rows and columns.
    ///
    /// # Panics
    /// If `range` reaches beyond the end or is no matrix, or rows or columns reach beyond the matrix.
    pub unsafe fn matrix_mut(
        &self,
        range: Range<usize>,
        width: usize,
        rows: Range<usize>,
        columns: Range<usize>,
    ) -> ArrayViewMut2<'_, T> {
        self.check_matrix(&range, width, &rows, &columns);
        if rows.is_empty() || columns.is_empty() {
            return ArrayViewMut2::from_shape((rows.len(), columns.len()), &mut []).expect("nothing");
        }
        let shape = (rows.len(), columns.len()).strides((width, 1));
        // SAFETY: the view's elements lie within the lent slice, which outlives `self` and was borrowed uniquely, no two of
        // them in one place; that nobody else touches them is the caller's promise.
        unsafe {
            ArrayViewMut2::from_shape_ptr(
                shape,
                self.start.as_ptr().add(range.start + rows.start * width + columns.start),
            )
        }
    }

    /// As [`Shared::matrix_mut`], to be read.
    ///
    /// # Safety
    /// As for [`Shared::get`]: while the result lives, nobody may hold anything to be written that overlaps these rows and
    /// columns.
    ///
    /// # Panics
    /// As there.
    pub unsafe fn matrix(
        &self,
        range: Range<usize>,
        width: usize,
        rows: Range<usize>,
        columns: Range<usize>,
    ) -> ArrayView2<'_, T> {
        self.check_matrix(&range, width, &rows, &columns);
        if rows.is_empty() || columns.is_empty() {
            return ArrayView2::from_shape((rows.len(), columns.len()), &[]).expect("nothing");
        }
        let shape = (rows.len(), columns.len()).strides((width, 1));
        // SAFETY: the view's elements lie within the lent slice, which outlives `self`; that nobody writes them is the
        // caller's promise.
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

    /// The adverse case: more workers than cores, parts that meet within a cache line, thousands of turns. Each turn
    /// makes every element the sum of its neighbors, so that a stale or torn read would show in the end.
    #[test]
    fn turns_of_writing_and_reading() {
        const LEN: usize = 37;
        // Miri takes a thousand times as long.
        let turns = if cfg!(miri) { 6 } else { 2_000 };
        let plain = |turns: usize| {
            let mut now: Vec<u64> = (0..LEN as u64).collect();
            for _ in 0..turns {
                now = (0..LEN)
                    .map(|i| {
                        now[i].wrapping_mul(3) ^ now[(i + 1) % LEN].wrapping_add(now[(i + LEN - 1) % LEN])
                    })
                    .collect();
            }
            now
        };
        for size in [1, 2, 3, 7] {
            let (mut a, mut b): (Vec<u64>, Vec<u64>) = ((0..LEN as u64).collect(), vec![0; LEN]);
            let (from, to) = (Shared::new(&mut a), Shared::new(&mut b));
            ThreadTeam::new(size).unwrap().run(|worker| {
                for turn in 0..turns {
                    let (from, to) = if turn % 2 == 0 { (&from, &to) } else { (&to, &from) };
                    let share = worker.share(LEN);
                    // SAFETY: in this turn `from` is only read and `to` only written, each part by one worker; the
                    // meeting separates the turns.
                    let (read, write) = unsafe { (from.get(0..LEN), to.get_mut(share.clone())) };
                    for (i, x) in share.zip(write) {
                        *x = read[i].wrapping_mul(3)
                            ^ read[(i + 1) % LEN].wrapping_add(read[(i + LEN - 1) % LEN]);
                    }
                    worker.wait();
                }
            });
            assert_eq!(a, plain(turns), "{size} workers");
        }
    }

    /// Members write columns that meet within a cache line, again and again, and read the whole between.
    #[test]
    fn columns_side_by_side() {
        let (rows, width) = (5, 11);
        let mut a = vec![0_u32; 3 + rows * width];
        let shared = Shared::new(&mut a);
        ThreadTeam::new(3).unwrap().run(|worker| {
            for turn in 1..=if cfg!(miri) { 5 } else { 500 } {
                // SAFETY: the workers' columns are disjoint, and the meetings separate writing from reading.
                let mut part =
                    unsafe { shared.matrix_mut(3..3 + rows * width, width, 1..rows, worker.share(width)) };
                part.iter_mut().for_each(|x| *x += turn);
                worker.wait();
                // SAFETY: nobody writes until the next meeting.
                let all = unsafe { shared.get(0..3 + rows * width) };
                // SAFETY: as above.
                let part = unsafe { shared.matrix(3..3 + rows * width, width, 1..rows, 2..4) };
                assert!(part.dim() == (rows - 1, 2) && part.iter().all(|&x| x == turn * (turn + 1) / 2));
                assert!(all[..3 + width].iter().all(|&x| x == 0));
                assert!(all[3 + width..].iter().all(|&x| x == turn * (turn + 1) / 2));
                worker.wait();
            }
        });
    }

    #[test]
    #[should_panic(expected = "of a slice of 3")]
    fn beyond_the_end() {
        let mut a = [1, 2, 3];
        let shared = Shared::new(&mut a);
        // SAFETY: nothing else is held.
        let _ = unsafe { shared.get(2..4) };
    }
}
