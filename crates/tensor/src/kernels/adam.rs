//! Adam and AdamW.

use ndarray::ArrayViewMut2;

use crate::isa::{Isa, Kernel, LANES, Lanes, SimdElement, Vector};

/// The constants of a step of [`adam`](crate::update::adam).
#[derive(Clone, Copy, Debug)]
pub struct Adam<T> {
    /// r sqrt(1 - beta2^t) / (1 - beta1^t), with the learning rate r, at step t = 1, 2, ...
    pub alpha: T,
    /// 1 - beta1.
    pub one_minus_beta_1: T,
    /// 1 - beta2.
    pub one_minus_beta_2: T,
    /// Added to the square root of v, which has no bias correction.
    pub epsilon: T,
    /// The learning rate times the weight decay: the fraction of each parameter that is subtracted before the step. 0 for Adam
    /// without weight decay.
    pub decay: T,
}

/// One step of Adam on slices of one length.
pub(crate) struct AdamUpdate<'a, T> {
    pub(crate) w: &'a mut [T],
    pub(crate) m: &'a mut [T],
    pub(crate) v: &'a mut [T],
    pub(crate) g: &'a [T],
    pub(crate) constants: Adam<T>,
}

impl<T: SimdElement> Kernel for AdamUpdate<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { w, m, v, g, constants } = self;
        AdamStep::<T, I>::new(constants).update(w, m, v, g);
    }
}

/// A matrix of parameters, or some of its columns, with the state and the constants of Adam. A product updates them while it
/// computes their gradient.
///
/// The three matrices have the same shape, and the elements of each of their rows are contiguous.
#[derive(Debug)]
pub struct Parameters<'a, T> {
    /// The parameters.
    pub w: ArrayViewMut2<'a, T>,
    /// The moving average of the gradients.
    pub m: ArrayViewMut2<'a, T>,
    /// The moving average of the squared gradients.
    pub v: ArrayViewMut2<'a, T>,
    /// The constants of the step.
    pub step: Adam<T>,
}

/// The constants of a step, as vectors.
pub(crate) struct AdamStep<T: SimdElement, I: Isa> {
    alpha: I::Vector<T>,
    one_minus_beta_1: I::Vector<T>,
    one_minus_beta_2: I::Vector<T>,
    epsilon: I::Vector<T>,
    decay: I::Vector<T>,
    decays: bool,
    /// Whether a step leaves parameters unchanged if their gradient and m are zero.
    skips_zeros: bool,
}

impl<T: SimdElement, I: Isa> Clone for AdamStep<T, I> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}
impl<T: SimdElement, I: Isa> Copy for AdamStep<T, I> {}

impl<T: SimdElement, I: Isa> AdamStep<T, I> {
    #[inline(always)]
    pub(crate) fn new(constants: Adam<T>) -> Self {
        let decays = constants.decay != T::zero();
        Self {
            alpha: I::Vector::splat(constants.alpha),
            one_minus_beta_1: I::Vector::splat(constants.one_minus_beta_1),
            one_minus_beta_2: I::Vector::splat(constants.one_minus_beta_2),
            epsilon: I::Vector::splat(constants.epsilon),
            decay: I::Vector::splat(constants.decay),
            decays,
            // With an epsilon of 0 the step could be 0 / 0.
            skips_zeros: !decays && constants.epsilon > T::zero(),
        }
    }

    /// Returns w, m and v after the step.
    #[inline(always)]
    fn next(
        &self,
        w: I::Vector<T>,
        m: I::Vector<T>,
        v: I::Vector<T>,
        g: I::Vector<T>,
    ) -> (I::Vector<T>, I::Vector<T>, I::Vector<T>) {
        let kept = if self.decays { self.decay.neg_mul_add(w, w) } else { w };
        let m = g.sub(m).mul_add(self.one_minus_beta_1, m).flushed();
        let (v, root) = g.mul_sub(g, v).mul_add(self.one_minus_beta_2, v).flushed_with_root();
        let step = self.alpha.mul(m).div(root.add(self.epsilon));
        (kept.sub(step), m, v)
    }

    /// Updates slices of any length, all of the same one.
    #[inline(always)]
    pub(crate) fn update(&self, w: &mut [T], m: &mut [T], v: &mut [T], g: &[T]) {
        let (w, w_rest) = w.as_chunks_mut();
        let (m, m_rest) = m.as_chunks_mut();
        let (v, v_rest) = v.as_chunks_mut();
        let (g, g_rest) = g.as_chunks();
        for (((w, m), v), g) in w.iter_mut().zip(m).zip(v).zip(g) {
            self.update_vector(w, m, v, I::Vector::load(g));
        }
        if !g_rest.is_empty() {
            self.update_part(w_rest, m_rest, v_rest, I::Vector::load_part(g_rest));
        }
    }

    /// Updates [`LANES`] parameters.
    #[inline(always)]
    fn update_vector(&self, w: &mut Lanes<T>, m: &mut Lanes<T>, v: &mut Lanes<T>, g: I::Vector<T>) {
        let next = self.next(I::Vector::load(w), I::Vector::load(m), I::Vector::load(v), g);
        next.0.store(w);
        next.1.store(m);
        next.2.store(v);
    }

    /// Updates at most [`LANES`] parameters.
    #[inline(always)]
    fn update_part(&self, w: &mut [T], m: &mut [T], v: &mut [T], g: I::Vector<T>) {
        let load = I::Vector::load_part;
        let next = self.next(load(w), load(m), load(v), g);
        next.0.store_part(w);
        next.1.store_part(m);
        next.2.store_part(v);
    }

    /// Updates parameters whose gradient is zero. If m is zero too, only v changes, and only if it is not zero.
    #[inline(always)]
    pub(crate) fn update_with_zero_gradient(&self, w: &mut [T], m: &mut [T], v: &mut [T]) {
        let zero = I::Vector::splat(T::zero());
        for ((w, m), v) in w.chunks_mut(LANES).zip(m.chunks_mut(LANES)).zip(v.chunks_mut(LANES)) {
            match (w.as_mut_array(), m.as_mut_array(), v.as_mut_array()) {
                (Some(w), Some(m), Some(v)) => {
                    if self.skips_zeros && I::Vector::load(m).is_zero() {
                        let before: I::Vector<T> = I::Vector::load(v);
                        if !before.is_zero() {
                            let after = zero.mul_sub(zero, before).mul_add(self.one_minus_beta_2, before);
                            after.flushed().store(v);
                        }
                    } else {
                        self.update_vector(w, m, v, zero);
                    }
                }
                _ => self.update_part(w, m, v, zero),
            }
        }
    }
}
