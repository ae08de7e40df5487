//! The optimizers' elementwise updates, by Keras's formulas.
//!
//! Legend: w parameters, g their gradient, m and v the optimizer's moving averages, all of one length. A state that
//! decays for ever is set to zero once it is below [`Scalar::TINY`] in magnitude: by then it moves no parameter, and
//! numbers below the normal range would slow every later step down.

use ndarray::ArrayViewMut2;

use crate::Scalar;
use crate::isa::{Isa, Kernel, LANES, Lanes, Vector};

/// Stochastic gradient descent (`keras/src/optimizers/sgd.py`): w -= r g.
///
/// # Panics
/// If the lengths differ; so do the other updates.
pub fn sgd<T: Scalar>(w: &mut [T], g: &[T], learning_rate: T) {
    assert_eq!(w.len(), g.len(), "parameters and gradient");
    T::sgd(Sgd { w, g, learning_rate });
}

pub(crate) struct Sgd<'a, T> {
    w: &'a mut [T],
    g: &'a [T],
    learning_rate: T,
}

impl<T: Scalar> Kernel for Sgd<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        for (w, &g) in self.w.iter_mut().zip(self.g) {
            *w = I::fma(-self.learning_rate, g, *w);
        }
    }
}

/// What [`momentum`] needs beside the arrays.
#[derive(Clone, Copy, Debug)]
pub struct Momentum<T> {
    /// r, the learning rate.
    pub learning_rate: T,
    /// mu, how much of the last step is kept.
    pub momentum: T,
    /// Whether the step looks ahead as Nesterov's does.
    pub nesterov: bool,
}

/// Gradient descent with momentum: m = mu m - r g, then w += m, or with Nesterov's look ahead w += mu m - r g.
pub fn momentum<T: Scalar>(w: &mut [T], m: &mut [T], g: &[T], constants: Momentum<T>) {
    assert!(w.len() == g.len() && m.len() == g.len(), "parameters, state and gradient");
    T::momentum(WithMomentum { w, m, g, constants });
}

pub(crate) struct WithMomentum<'a, T> {
    w: &'a mut [T],
    m: &'a mut [T],
    g: &'a [T],
    constants: Momentum<T>,
}

impl<T: Scalar> Kernel for WithMomentum<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Momentum { learning_rate, momentum, nesterov } = self.constants;
        for ((w, m), &g) in self.w.iter_mut().zip(self.m).zip(self.g) {
            let down = -(learning_rate * g);
            let next = flushed(I::fma(momentum, *m, down));
            *m = next;
            *w += if nesterov { I::fma(momentum, next, down) } else { next };
        }
    }
}

/// What [`adam`] needs beside the arrays.
#[derive(Clone, Copy, Debug)]
pub struct Adam<T> {
    /// r sqrt(1 - beta2^t) / (1 - beta1^t) at step t = 1, 2, ...
    pub alpha: T,
    /// 1 - beta1.
    pub one_minus_beta_1: T,
    /// 1 - beta2.
    pub one_minus_beta_2: T,
    /// Added to the root, outside of it and without bias correction.
    pub epsilon: T,
    /// What is taken off a parameter first, as a share of it: r times the weight decay, 0 for plain Adam.
    pub decay: T,
}

/// Adam (Kingma and Ba 2015, in the form before its section 2.1, as `keras/src/optimizers/adam.py` has it) and AdamW
/// (Loshchilov and Hutter 2019):
/// w -= decay w; m += (g - m)(1 - beta1); v += (g^2 - v)(1 - beta2); w -= alpha m / (sqrt(v) + epsilon).
pub fn adam<T: Scalar>(w: &mut [T], m: &mut [T], v: &mut [T], g: &[T], constants: Adam<T>) {
    assert!(w.len() == g.len() && m.len() == g.len() && v.len() == g.len(), "parameters, state and gradient");
    T::adam(WithAdam { w, m, v, g, constants });
}

pub(crate) struct WithAdam<'a, T> {
    w: &'a mut [T],
    m: &'a mut [T],
    v: &'a mut [T],
    g: &'a [T],
    constants: Adam<T>,
}

impl<T: Scalar> Kernel for WithAdam<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { w, m, v, g, constants } = self;
        AdamStep::<T, I>::new(constants).all(w, m, v, g);
    }
}

/// A matrix of parameters, or some of its columns, with Adam's state and step, to be moved as their gradient is formed.
///
/// The three have one shape, and their rows lie in order.
#[derive(Debug)]
pub struct Parameters<'a, T> {
    /// The parameters.
    pub w: ArrayViewMut2<'a, T>,
    /// The moving average of their gradients.
    pub m: ArrayViewMut2<'a, T>,
    /// The moving average of the gradients' squares.
    pub v: ArrayViewMut2<'a, T>,
    /// The step.
    pub step: Adam<T>,
}

impl<T: Scalar> Parameters<'_, T> {
    /// # Panics
    /// If the shapes differ or rows do not lie in order.
    pub(crate) fn check(&self, rows: usize, columns: usize) {
        for matrix in [&self.w, &self.m, &self.v] {
            assert_eq!(matrix.dim(), (rows, columns), "the parameters' shape");
            assert!(
                rows == 0 || columns <= 1 || matrix.strides()[1] == 1,
                "a matrix whose rows do not lie in order"
            );
        }
    }
}

/// A step's constants in vectors.
pub(crate) struct AdamStep<T: Scalar, I: Isa> {
    alpha: I::Vector<T>,
    one_minus_beta_1: I::Vector<T>,
    one_minus_beta_2: I::Vector<T>,
    epsilon: I::Vector<T>,
    decay: I::Vector<T>,
    decays: bool,
    /// Whether parameters whose gradient and m are zero stay where they are.
    rests: bool,
}

impl<T: Scalar, I: Isa> Clone for AdamStep<T, I> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}
impl<T: Scalar, I: Isa> Copy for AdamStep<T, I> {}

impl<T: Scalar, I: Isa> AdamStep<T, I> {
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
            // Else the step could be 0 / 0.
            rests: !decays && constants.epsilon > T::zero(),
        }
    }

    /// w, m and v after the step.
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

    /// Any number of parameters.
    #[inline(always)]
    pub(crate) fn all(&self, w: &mut [T], m: &mut [T], v: &mut [T], g: &[T]) {
        let (w, w_rest) = w.as_chunks_mut();
        let (m, m_rest) = m.as_chunks_mut();
        let (v, v_rest) = v.as_chunks_mut();
        let (g, g_rest) = g.as_chunks();
        for (((w, m), v), g) in w.iter_mut().zip(m).zip(v).zip(g) {
            self.whole(w, m, v, I::Vector::load(g));
        }
        if !g_rest.is_empty() {
            self.part(w_rest, m_rest, v_rest, I::Vector::load_part(g_rest));
        }
    }

    #[inline(always)]
    fn whole(&self, w: &mut Lanes<T>, m: &mut Lanes<T>, v: &mut Lanes<T>, g: I::Vector<T>) {
        let next = self.next(I::Vector::load(w), I::Vector::load(m), I::Vector::load(v), g);
        next.0.store(w);
        next.1.store(m);
        next.2.store(v);
    }

    /// At most [`LANES`] parameters.
    #[inline(always)]
    fn part(&self, w: &mut [T], m: &mut [T], v: &mut [T], g: I::Vector<T>) {
        let part = I::Vector::load_part;
        let next = self.next(part(w), part(m), part(v), g);
        next.0.store_part(w);
        next.1.store_part(m);
        next.2.store_part(v);
    }

    /// Parameters whose gradient is zero. Where m is zero too, only v changes, and that only if it is not zero.
    #[inline(always)]
    pub(crate) fn zeros(&self, w: &mut [T], m: &mut [T], v: &mut [T]) {
        let zero = I::Vector::splat(T::zero());
        for ((w, m), v) in w.chunks_mut(LANES).zip(m.chunks_mut(LANES)).zip(v.chunks_mut(LANES)) {
            match (w.as_mut_array(), m.as_mut_array(), v.as_mut_array()) {
                (Some(w), Some(m), Some(v)) => {
                    if self.rests && I::Vector::load(m).is_zero() {
                        let before: I::Vector<T> = I::Vector::load(v);
                        if !before.is_zero() {
                            let after = zero.mul_sub(zero, before).mul_add(self.one_minus_beta_2, before);
                            after.flushed().store(v);
                        }
                    } else {
                        self.whole(w, m, v, zero);
                    }
                }
                _ => self.part(w, m, v, zero),
            }
        }
    }
}

/// What [`rmsprop`] needs beside the arrays.
#[derive(Clone, Copy, Debug)]
pub struct RmsProp<T> {
    /// r, the learning rate.
    pub learning_rate: T,
    /// How much of the average is kept.
    pub rho: T,
    /// Added under the root.
    pub epsilon: T,
}

/// RMSprop (`keras/src/optimizers/rmsprop.py`, not centred, without momentum):
/// v = rho v + (1 - rho) g^2; w -= r g / sqrt(v + epsilon).
pub fn rmsprop<T: Scalar>(w: &mut [T], v: &mut [T], g: &[T], constants: RmsProp<T>) {
    assert!(w.len() == g.len() && v.len() == g.len(), "parameters, state and gradient");
    T::rmsprop(WithRmsProp { w, v, g, constants });
}

pub(crate) struct WithRmsProp<'a, T> {
    w: &'a mut [T],
    v: &'a mut [T],
    g: &'a [T],
    constants: RmsProp<T>,
}

impl<T: Scalar> Kernel for WithRmsProp<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let RmsProp { learning_rate, rho, epsilon } = self.constants;
        let share = T::one() - rho;
        for ((w, v), &g) in self.w.iter_mut().zip(self.v).zip(self.g) {
            let square = flushed(I::fma(rho, *v, share * (g * g)));
            *v = square;
            *w -= learning_rate * g / (square + epsilon).sqrt();
        }
    }
}

/// The exponential moving average of parameters (`use_ema` of Keras's optimizers): a = momentum a + (1 - momentum) w.
pub fn moving_average<T: Scalar>(average: &mut [T], w: &[T], momentum: T) {
    assert_eq!(average.len(), w.len(), "average and parameters");
    T::moving_average(MovingAverage { average, w, momentum });
}

pub(crate) struct MovingAverage<'a, T> {
    average: &'a mut [T],
    w: &'a [T],
    momentum: T,
}

impl<T: Scalar> Kernel for MovingAverage<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let share = T::one() - self.momentum;
        for (average, &w) in self.average.iter_mut().zip(self.w) {
            *average = I::fma(self.momentum, *average, share * w);
        }
    }
}

/// Zero for a number below [`Scalar::TINY`]; NaN stays.
#[inline(always)]
fn flushed<T: Scalar>(x: T) -> T {
    if x.abs() < T::TINY { T::zero() } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let mut w = [1.0_f64, -2.0];
        sgd(&mut w, &[0.5, 1.0], 0.1);
        assert!((w[0] - 0.95).abs() < 1e-15 && (w[1] + 2.1).abs() < 1e-15);

        let constants = Momentum { learning_rate: 0.1, momentum: 0.9, nesterov: false };
        let (mut w, mut m) = ([1.0_f64], [0.2]);
        momentum(&mut w, &mut m, &[1.0], constants);
        assert!((m[0] - 0.08).abs() < 1e-15 && (w[0] - 1.08).abs() < 1e-15);
        let (mut w, mut m) = ([1.0_f64], [0.2]);
        momentum(&mut w, &mut m, &[1.0], Momentum { nesterov: true, ..constants });
        // 0.9 * 0.08 - 0.1
        assert!((m[0] - 0.08).abs() < 1e-15 && (w[0] - 0.972).abs() < 1e-15);

        // The first step of Adam goes by about the learning rate against the sign of the gradient.
        let alpha = 0.001 * (1.0 - 0.999_f64).sqrt() / (1.0 - 0.9);
        let constants =
            Adam { alpha, one_minus_beta_1: 0.1, one_minus_beta_2: 0.001, epsilon: 1e-7, decay: 0.0 };
        let (mut w, mut m, mut v) = ([1.0_f64, 1.0], [0.0; 2], [0.0; 2]);
        adam(&mut w, &mut m, &mut v, &[0.3, -3.0], constants);
        assert!((w[0] - 0.999).abs() < 1e-7 && (w[1] - 1.001).abs() < 1e-7);
        assert!((m[0] - 0.03).abs() < 1e-15 && (v[1] - 0.009).abs() < 1e-15);
        let (mut w, mut m, mut v) = ([2.0_f64], [0.0], [0.0]);
        adam(&mut w, &mut m, &mut v, &[0.0], Adam { decay: 0.25, ..constants });
        assert_eq!(w, [1.5]);

        let mut average = [1.0_f64, -1.0];
        moving_average(&mut average, &[3.0, 0.0], 0.75);
        assert_eq!(average, [1.5, -0.75]);

        let (mut w, mut v) = ([1.0_f64], [0.5]);
        rmsprop(&mut w, &mut v, &[2.0], RmsProp { learning_rate: 0.1, rho: 0.9, epsilon: 0.0 });
        // v = 0.45 + 0.4
        assert!((v[0] - 0.85).abs() < 1e-15 && (w[0] - (1.0 - 0.2 / 0.85_f64.sqrt())).abs() < 1e-15);
    }

    #[test]
    fn nothing_stays_below_the_normal_range() {
        let constants =
            Adam { alpha: 0.001, one_minus_beta_1: 0.1, one_minus_beta_2: 0.001, epsilon: 1e-7, decay: 0.0 };
        let (mut w, mut m, mut v) = ([0.5_f32], [1.0], [1e-25]);
        for _ in 0..20_000 {
            adam(&mut w, &mut m, &mut v, &[0.0], constants);
            for state in [m[0], v[0]] {
                assert!(state == 0.0 || state >= f32::TINY);
            }
        }
        assert_eq!((m, v), ([0.0], [0.0]));
        let before = w;
        adam(&mut w, &mut m, &mut v, &[0.0], constants);
        assert_eq!(before, w, "rest is rest");
    }

    #[test]
    fn nan_is_not_hidden() {
        let constants =
            Adam { alpha: 0.001, one_minus_beta_1: 0.1, one_minus_beta_2: 0.001, epsilon: 1e-7, decay: 0.0 };
        let (mut w, mut m, mut v) = ([0.5_f32], [0.0], [0.0]);
        adam(&mut w, &mut m, &mut v, &[f32::NAN], constants);
        assert!(w[0].is_nan() && m[0].is_nan() && v[0].is_nan());
    }
}
