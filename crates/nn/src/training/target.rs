//! What becomes of gradients in a step: they update the weights, or are stored.

use std::marker::PhantomData;
use std::ops::Range;

use ziffer_tensor::shared::Shared;
use ziffer_tensor::{Scalar, update};

use crate::layer::GradientTarget;
use crate::optimizer::{MAX_SLOTS, Optimizer};

/// Updates weights by their gradient as it is formed.
pub(super) struct UpdateTarget<'a, 'b, T: Scalar, O: Optimizer<T>> {
    weights: &'a Shared<'b, T>,
    state: &'a [Shared<'b, T>],
    /// Where the layer's weights lie.
    ranges: &'a [Range<usize>],
    step: &'a O::Step,
    of: PhantomData<O>,
}

impl<'a, 'b, T: Scalar, O: Optimizer<T>> UpdateTarget<'a, 'b, T, O> {
    /// # Safety
    /// Of the weights and each state, which are different memory, nobody else touches the elements that the target is
    /// called for while it lives.
    pub(super) unsafe fn new(
        weights: &'a Shared<'b, T>,
        state: &'a [Shared<'b, T>],
        ranges: &'a [Range<usize>],
        step: &'a O::Step,
    ) -> Self {
        Self { weights, state, ranges, step, of: PhantomData }
    }
}

/// Elements `part` of a weight that lies in `range`.
fn within(range: &Range<usize>, part: Range<usize>) -> Range<usize> {
    assert!(part.start <= part.end && part.end <= range.len(), "elements {part:?} of {}", range.len());
    range.start + part.start..range.start + part.end
}

impl<T: Scalar, O: Optimizer<T>> GradientTarget<T> for UpdateTarget<'_, '_, T, O> {
    fn push(&mut self, index: usize, offset: usize, gradient: &[T]) {
        let here = within(&self.ranges[index], offset..offset + gradient.len());
        // SAFETY: nobody else touches these, as `new` demands.
        let w = unsafe { self.weights.get_mut(here.clone()) };
        let mut slots: [&mut [T]; MAX_SLOTS] = Default::default();
        for (slot, shared) in slots.iter_mut().zip(self.state) {
            // SAFETY: as above; each state is memory of its own.
            *slot = unsafe { shared.get_mut(here.clone()) };
        }
        O::update(self.step, w, &mut slots[..self.state.len()], gradient);
    }

    fn adam(
        &mut self,
        index: usize,
        columns: usize,
        range: Range<usize>,
    ) -> Option<update::Parameters<'_, T>> {
        let step = O::as_adam(self.step)?;
        let [m, v] = self.state else { return None };
        let here = within(&self.ranges[index], range);
        let rows = 0..here.len() / columns;
        // SAFETY: nobody else touches these, as `new` demands; w, m and v are memory of their own.
        let [w, m, v] = unsafe {
            [self.weights, m, v]
                .map(|shared| shared.matrix_mut(here.clone(), columns, rows.clone(), 0..columns))
        };
        Some(update::Parameters { w, m, v, step })
    }

    fn non_trainable(&mut self, index: usize, range: Range<usize>) -> &mut [T] {
        // SAFETY: nobody else touches these, as `new` demands.
        unsafe { self.weights.get_mut(within(&self.ranges[index], range)) }
    }
}

/// Stores gradients, or adds them to those that are stored.
pub(super) struct StoreTarget<'a, 'b, T> {
    gradient: &'a Shared<'b, T>,
    weights: &'a Shared<'b, T>,
    ranges: &'a [Range<usize>],
    adds: bool,
}

impl<'a, 'b, T> StoreTarget<'a, 'b, T> {
    /// # Safety
    /// Of the gradients and the weights nobody else touches the elements that the target is called for while it lives.
    pub(super) unsafe fn new(
        gradient: &'a Shared<'b, T>,
        weights: &'a Shared<'b, T>,
        ranges: &'a [Range<usize>],
        adds: bool,
    ) -> Self {
        Self { gradient, weights, ranges, adds }
    }
}

impl<T: Scalar> GradientTarget<T> for StoreTarget<'_, '_, T> {
    fn push(&mut self, index: usize, offset: usize, gradient: &[T]) {
        let here = within(&self.ranges[index], offset..offset + gradient.len());
        // SAFETY: nobody else touches these, as `new` demands.
        let stored = unsafe { self.gradient.get_mut(here) };
        if self.adds {
            stored.iter_mut().zip(gradient).for_each(|(stored, &g)| *stored += g);
        } else {
            stored.copy_from_slice(gradient);
        }
    }

    fn non_trainable(&mut self, index: usize, range: Range<usize>) -> &mut [T] {
        // SAFETY: nobody else touches these, as `new` demands.
        unsafe { self.weights.get_mut(within(&self.ranges[index], range)) }
    }
}
