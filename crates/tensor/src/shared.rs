//! A slice that the members of a team write in parts and read as a whole, by turns.

use std::marker::PhantomData;
use std::ops::Range;
use std::ptr::NonNull;

/// A mutable slice lent to all members of a [`crate::team::Team`].
///
/// Within a phase, that is between two meetings of the team, each element is either written by one member or read by
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

    fn check(&self, range: &Range<usize>) {
        assert!(range.start <= range.end && range.end <= self.len, "{range:?} of a slice of {}", self.len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::team::Team;

    /// The adverse case: more members than cores, parts that meet within a cache line, thousands of turns. Each turn
    /// makes every element the sum of its neighbours, so that a stale or torn read would show in the end.
    #[test]
    fn turns_of_writing_and_reading() {
        const LEN: usize = 37;
        let turns = 2_000;
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
            Team::new(size).unwrap().run(|member| {
                for turn in 0..turns {
                    let (from, to) = if turn % 2 == 0 { (&from, &to) } else { (&to, &from) };
                    let share = member.share(LEN);
                    // SAFETY: in this turn `from` is only read and `to` only written, each part by one member; the
                    // meeting separates the turns.
                    let (read, write) = unsafe { (from.get(0..LEN), to.get_mut(share.clone())) };
                    for (i, x) in share.zip(write) {
                        *x = read[i].wrapping_mul(3)
                            ^ read[(i + 1) % LEN].wrapping_add(read[(i + LEN - 1) % LEN]);
                    }
                    member.wait();
                }
            });
            assert_eq!(a, plain(turns), "{size} members");
        }
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
