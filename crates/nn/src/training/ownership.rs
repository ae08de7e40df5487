//! The elements of a weight and the channels of a layer that belong to each thread.

use std::ops::Range;

use crate::model::ALIGNMENT;

/// The elements of a weight that thread `index` of `count` owns: whole rows of the first axis, or whole cache lines of a
/// vector.
pub(super) fn owned_elements(shape: &[usize], index: usize, count: usize) -> Range<usize> {
    let (&rows, rest) = shape.split_first().unwrap_or((&1, &[]));
    let row: usize = rest.iter().product();
    if row == 1 {
        return owned_cache_lines(rows, index, count);
    }
    // rows index / count could overflow before the division; the number of elements cannot.
    let at = |index: usize| (rows / count * index + rows % count * index / count) * row;
    at(index)..at(index + 1)
}

/// The part of `0..n` that thread `index` of `count` owns, in whole cache lines.
pub(super) fn owned_cache_lines(n: usize, index: usize, count: usize) -> Range<usize> {
    let lines = n.div_ceil(ALIGNMENT);
    let at = |index: usize| (lines * index / count * ALIGNMENT).min(n);
    at(index)..at(index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owned_elements_are_disjoint_and_cover_the_weight() {
        for shape in
            [vec![], vec![1], vec![10], vec![16], vec![100], vec![784, 128], vec![3, 5, 7], vec![1, 40]]
        {
            let len: usize = shape.iter().product();
            for count in [1, 2, 3, 8, 33] {
                let elements: Vec<usize> =
                    (0..count).flat_map(|index| owned_elements(&shape, index, count)).collect();
                assert_eq!(elements, (0..len).collect::<Vec<_>>(), "{shape:?} {count}");
            }
        }
    }
}
