//! The two consumers of gradients in a step: one updates the weights, the other stores the gradients.

use std::ops::Range;

use ziffer_tensor::shared::Shared;
use ziffer_tensor::{Scalar, update};

use super::dyn_optimizer::Update;
use crate::layer::GradientConsumer;
use crate::optimizer::MAX_STATES;

/// Updates weights by their gradient as it is computed.
pub(super) struct UpdateWeights<'a, 'b, T: Scalar> {
    weights: &'a Shared<'b, T>,
    state: &'a [Shared<'b, T>],
    /// The range of each of the layer's weights.
    ranges: &'a [Range<usize>],
    step: &'a dyn Update<T>,
}

impl<'a, 'b, T: Scalar> UpdateWeights<'a, 'b, T> {
    /// # Safety
    /// The weights and each state must be different memory. While the consumer lives, no other thread may access the elements
    /// that the consumer is called for.
    pub(super) unsafe fn new(
        weights: &'a Shared<'b, T>,
        state: &'a [Shared<'b, T>],
        ranges: &'a [Range<usize>],
        step: &'a dyn Update<T>,
    ) -> Self {
        Self { weights, state, ranges, step }
    }
}

/// The elements `part` of a weight, whose own range is `range`.
fn within(range: &Range<usize>, part: Range<usize>) -> Range<usize> {
    assert!(part.start <= part.end && part.end <= range.len(), "elements {part:?} of {}", range.len());
    range.start + part.start..range.start + part.end
}

impl<T: Scalar> GradientConsumer<T> for UpdateWeights<'_, '_, T> {
    fn push(&mut self, index: usize, offset: usize, gradient: &[T]) {
        let here = within(&self.ranges[index], offset..offset + gradient.len());
        // SAFETY: no other thread accesses these, as `new` demands.
        let w = unsafe { self.weights.get_mut(here.clone()) };
        let mut state: [&mut [T]; MAX_STATES] = Default::default();
        for (state, shared) in state.iter_mut().zip(self.state) {
            // SAFETY: as above; each state is separate memory.
            *state = unsafe { shared.get_mut(here.clone()) };
        }
        self.step.update(w, &mut state[..self.state.len()], gradient);
    }

    fn adam(
        &mut self,
        index: usize,
        columns: usize,
        range: Range<usize>,
    ) -> Option<update::Parameters<'_, T>> {
        let step = self.step.as_adam()?;
        let [m, v] = self.state else { return None };
        let here = within(&self.ranges[index], range);
        let rows = 0..here.len() / columns;
        // SAFETY: no other thread accesses these, as `new` demands; w, m and v are separate memory.
        let [w, m, v] = unsafe {
            [self.weights, m, v]
                .map(|shared| shared.matrix_mut(here.clone(), columns, rows.clone(), 0..columns))
        };
        Some(update::Parameters { w, m, v, step })
    }

    fn non_trainable(&mut self, index: usize, range: Range<usize>) -> &mut [T] {
        // SAFETY: no other thread accesses these, as `new` demands.
        unsafe { self.weights.get_mut(within(&self.ranges[index], range)) }
    }
}

/// Stores gradients, or adds them to the stored ones.
pub(super) struct StoreGradient<'a, 'b, T> {
    gradient: &'a Shared<'b, T>,
    weights: &'a Shared<'b, T>,
    ranges: &'a [Range<usize>],
    adds: bool,
}

impl<'a, 'b, T> StoreGradient<'a, 'b, T> {
    /// # Safety
    /// While the consumer lives, no other thread may access the elements of the gradients and of the weights that the consumer
    /// is called for.
    pub(super) unsafe fn new(
        gradient: &'a Shared<'b, T>,
        weights: &'a Shared<'b, T>,
        ranges: &'a [Range<usize>],
        adds: bool,
    ) -> Self {
        Self { gradient, weights, ranges, adds }
    }
}

impl<T: Scalar> GradientConsumer<T> for StoreGradient<'_, '_, T> {
    fn push(&mut self, index: usize, offset: usize, gradient: &[T]) {
        let here = within(&self.ranges[index], offset..offset + gradient.len());
        // SAFETY: no other thread accesses these, as `new` demands.
        let stored = unsafe { self.gradient.get_mut(here) };
        if self.adds {
            stored.iter_mut().zip(gradient).for_each(|(stored, &g)| *stored += g);
        } else {
            stored.copy_from_slice(gradient);
        }
    }

    fn non_trainable(&mut self, index: usize, range: Range<usize>) -> &mut [T] {
        // SAFETY: no other thread accesses these, as `new` demands.
        unsafe { self.weights.get_mut(within(&self.ranges[index], range)) }
    }
}
