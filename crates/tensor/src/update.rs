//! The optimizers' elementwise updates, by Keras's formulas.
//!
//! Legend: w parameters, g their gradient, m and v the optimizer's moving averages, all of one length. A state that
//! decays for ever is set to zero once it is below [`Scalar::TINY`] in magnitude: by then it moves no parameter, and
//! numbers below the normal range would slow every later step down.

use ndarray::{ArrayViewMut2, s};

use crate::Scalar;
use crate::isa::{Isa, Kernel, LANES, Lanes, Vector};

/// Weight decay apart from the gradient (`_apply_weight_decay` in `keras/src/optimizers/base_optimizer.py`): w -= decay w,
/// nothing if decay is 0. The updates below begin with it.
fn take_off<T: Scalar>(w: &mut [T], decay: T) {
    if decay != T::zero() {
        T::decay(Decay { w, decay });
    }
}

pub(crate) struct Decay<'a, T> {
    w: &'a mut [T],
    decay: T,
}

impl<T: Scalar> Kernel for Decay<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        for w in self.w {
            *w = I::fma(-self.decay, *w, *w);
        }
    }
}

/// Stochastic gradient descent (`keras/src/optimizers/sgd.py`): w -= decay w; w -= r g.
///
/// # Panics
/// If the lengths differ; so do the other updates.
pub fn sgd<T: Scalar>(w: &mut [T], g: &[T], learning_rate: T, decay: T) {
    assert_eq!(w.len(), g.len(), "parameters and gradient");
    take_off(w, decay);
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
    /// What is taken off a parameter first, as a share of it: r times the weight decay.
    pub decay: T,
}

/// Gradient descent with momentum: w -= decay w; m = mu m - r g, then w += m, or with Nesterov's look ahead w += mu m - r g.
pub fn momentum<T: Scalar>(w: &mut [T], m: &mut [T], g: &[T], constants: Momentum<T>) {
    assert!(w.len() == g.len() && m.len() == g.len(), "parameters, state and gradient");
    take_off(w, constants.decay);
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
        let Momentum { learning_rate, momentum, nesterov, decay: _ } = self.constants;
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
    /// Moves the rows from `first` on by their gradient, whose rows lie side by side.
    pub(crate) fn update_rows(&mut self, first: usize, g: &[T]) {
        let columns = self.w.ncols();
        let rows = first..first + g.len() / columns;
        let [mut w, mut m, mut v] =
            [&mut self.w, &mut self.m, &mut self.v].map(|matrix| matrix.slice_mut(s![rows.clone(), ..]));
        match (w.as_slice_mut(), m.as_slice_mut(), v.as_slice_mut()) {
            (Some(w), Some(m), Some(v)) => adam(w, m, v, g, self.step),
            _ => {
                let in_order = "rows that lie in order";
                for (((w, m), v), g) in
                    w.rows_mut().into_iter().zip(m.rows_mut()).zip(v.rows_mut()).zip(g.chunks_exact(columns))
                {
                    let [w, m, v] = [w, m, v].map(|row| row.into_slice().expect(in_order));
                    adam(w, m, v, g, self.step);
                }
            }
        }
    }

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

/// What [`nadam`] needs beside the arrays.
#[derive(Clone, Copy, Debug)]
pub struct Nadam<T> {
    /// What m is multiplied by in a step, the learning rate and the corrections of m and v among it.
    pub of_momentum: T,
    /// What g is multiplied by in a step.
    pub of_gradient: T,
    /// 1 - beta1.
    pub one_minus_beta_1: T,
    /// 1 - beta2.
    pub one_minus_beta_2: T,
    /// Added to the root, multiplied by the correction of the root.
    pub epsilon: T,
    /// What is taken off a parameter first, as a share of it: r times the weight decay.
    pub decay: T,
}

/// Adam with Nesterov's look ahead (Dozat 2016, as `keras/src/optimizers/nadam.py`):
/// w -= decay w; m += (g - m)(1 - beta1); v += (g^2 - v)(1 - beta2);
/// w -= (of_momentum m + of_gradient g) / (sqrt(v) + epsilon).
pub fn nadam<T: Scalar>(w: &mut [T], m: &mut [T], v: &mut [T], g: &[T], constants: Nadam<T>) {
    assert!(w.len() == g.len() && m.len() == g.len() && v.len() == g.len(), "parameters, state and gradient");
    take_off(w, constants.decay);
    T::nadam(WithNadam { w, m, v, g, constants });
}

pub(crate) struct WithNadam<'a, T> {
    w: &'a mut [T],
    m: &'a mut [T],
    v: &'a mut [T],
    g: &'a [T],
    constants: Nadam<T>,
}

impl<T: Scalar> Kernel for WithNadam<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Nadam { of_momentum, of_gradient, one_minus_beta_1, one_minus_beta_2, epsilon, decay: _ } =
            self.constants;
        for (((w, m), v), &g) in self.w.iter_mut().zip(self.m).zip(self.v).zip(self.g) {
            let mean = flushed(I::fma(g - *m, one_minus_beta_1, *m));
            let square = flushed(I::fma(I::fma(g, g, -*v), one_minus_beta_2, *v));
            *m = mean;
            *v = square;
            *w -= I::fma(of_momentum, mean, of_gradient * g) / (square.sqrt() + epsilon);
        }
    }
}

/// What [`lion`] needs beside the arrays.
#[derive(Clone, Copy, Debug)]
pub struct Lion<T> {
    /// r, the learning rate.
    pub learning_rate: T,
    /// How much of m is in a step's direction.
    pub beta_1: T,
    /// How much of m is kept.
    pub beta_2: T,
    /// What is taken off a parameter first, as a share of it: r times the weight decay.
    pub decay: T,
}

/// Lion (Chen and others 2023, as `keras/src/optimizers/lion.py`):
/// w -= decay w; w -= r sign(beta1 m + (1 - beta1) g); m = beta2 m + (1 - beta2) g. The sign of 0 is 0.
pub fn lion<T: Scalar>(w: &mut [T], m: &mut [T], g: &[T], constants: Lion<T>) {
    assert!(w.len() == g.len() && m.len() == g.len(), "parameters, state and gradient");
    take_off(w, constants.decay);
    T::lion(WithLion { w, m, g, constants });
}

pub(crate) struct WithLion<'a, T> {
    w: &'a mut [T],
    m: &'a mut [T],
    g: &'a [T],
    constants: Lion<T>,
}

impl<T: Scalar> Kernel for WithLion<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Lion { learning_rate, beta_1, beta_2, decay: _ } = self.constants;
        let (share_1, share_2) = (T::one() - beta_1, T::one() - beta_2);
        for ((w, m), &g) in self.w.iter_mut().zip(self.m).zip(self.g) {
            let direction = I::fma(beta_1, *m, share_1 * g);
            // Of zero it is zero, and of NaN it is NaN.
            *w -= if direction > T::zero() {
                learning_rate
            } else if direction < T::zero() {
                -learning_rate
            } else {
                direction
            };
            *m = flushed(I::fma(beta_2, *m, share_2 * g));
        }
    }
}

/// What [`rmsprop`] needs beside the arrays.
#[derive(Clone, Copy, Debug)]
pub struct RmsProp<T> {
    /// r, the learning rate.
    pub learning_rate: T,
    /// How much of the averages is kept.
    pub rho: T,
    /// mu, how much of the last step is kept. Without a state for it, it does not count.
    pub momentum: T,
    /// Added under the root.
    pub epsilon: T,
    /// Whether the root is of the variance.
    pub centered: bool,
    /// What is taken off a parameter first, as a share of it: r times the weight decay.
    pub decay: T,
}

/// The state of [`rmsprop`].
#[derive(Debug)]
pub struct RmsPropState<'a, T> {
    /// v, the average of the gradients' squares.
    pub velocity: &'a mut [T],
    /// m, the last steps, if some of them is to be kept.
    pub momentum: Option<&'a mut [T]>,
    /// a, the average of the gradients, if the root is of the variance.
    pub average_gradient: Option<&'a mut [T]>,
}

/// RMSprop (`keras/src/optimizers/rmsprop.py`):
/// w -= decay w; v = rho v + (1 - rho) g^2; w -= s with s = r g / sqrt(v + epsilon).
///
/// Centred, a = rho a + (1 - rho) g and v - a^2 is in the root in the place of v; where rounding makes it negative, it is 0.
/// With momentum, m = mu m + s and w -= m.
pub fn rmsprop<T: Scalar>(w: &mut [T], state: RmsPropState<'_, T>, g: &[T], constants: RmsProp<T>) {
    let RmsPropState { velocity: v, momentum: m, average_gradient: a } = state;
    let fits = |state: &Option<&mut [T]>| state.as_ref().is_none_or(|state| state.len() == g.len());
    assert!(
        w.len() == g.len() && v.len() == g.len() && fits(&m) && fits(&a) && a.is_some() == constants.centered,
        "parameters, state and gradient"
    );
    take_off(w, constants.decay);
    T::rmsprop(WithRmsProp { w, v, m, a, g, constants });
}

pub(crate) struct WithRmsProp<'a, T> {
    w: &'a mut [T],
    v: &'a mut [T],
    m: Option<&'a mut [T]>,
    a: Option<&'a mut [T]>,
    g: &'a [T],
    constants: RmsProp<T>,
}

impl<T: Scalar> RmsProp<T> {
    /// The average of the squares after g, which is also stored.
    #[inline(always)]
    fn square<I: Isa>(&self, v: &mut T, g: T) -> T {
        *v = flushed(I::fma(self.rho, *v, (T::one() - self.rho) * (g * g)));
        *v
    }

    /// The variance after g.
    #[inline(always)]
    fn variance<I: Isa>(&self, v: &mut T, a: &mut T, g: T) -> T {
        let square = self.square::<I>(v, g);
        *a = flushed(I::fma(self.rho, *a, (T::one() - self.rho) * g));
        let variance = I::fma(-*a, *a, square);
        if variance < T::zero() { T::zero() } else { variance }
    }

    #[inline(always)]
    fn step(&self, under_root: T, g: T) -> T {
        self.learning_rate * g / (under_root + self.epsilon).sqrt()
    }

    /// The step and what is kept of the last ones, which is also stored.
    #[inline(always)]
    fn kept<I: Isa>(&self, m: &mut T, step: T) -> T {
        *m = flushed(I::fma(self.momentum, *m, step));
        *m
    }
}

impl<T: Scalar> Kernel for WithRmsProp<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { w, v, m, a, g, constants } = self;
        let all = w.iter_mut().zip(v).zip(g);
        match (m, a) {
            (None, None) => {
                for ((w, v), &g) in all {
                    *w -= constants.step(constants.square::<I>(v, g), g);
                }
            }
            (Some(m), None) => {
                for (((w, v), &g), m) in all.zip(m) {
                    let step = constants.step(constants.square::<I>(v, g), g);
                    *w -= constants.kept::<I>(m, step);
                }
            }
            (None, Some(a)) => {
                for (((w, v), &g), a) in all.zip(a) {
                    *w -= constants.step(constants.variance::<I>(v, a, g), g);
                }
            }
            (Some(m), Some(a)) => {
                for ((((w, v), &g), m), a) in all.zip(m).zip(a) {
                    let step = constants.step(constants.variance::<I>(v, a, g), g);
                    *w -= constants.kept::<I>(m, step);
                }
            }
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
    use crate::isa::tests::with_each;
    use crate::random::{Purpose, Stream};

    #[test]
    fn by_hand() {
        let mut w = [1.0_f64, -2.0];
        sgd(&mut w, &[0.5, 1.0], 0.1, 0.0);
        assert!((w[0] - 0.95).abs() < 1e-15 && (w[1] + 2.1).abs() < 1e-15);

        sgd(&mut w, &[0.0, 0.0], 0.1, 0.5);
        assert!((w[0] - 0.475).abs() < 1e-15 && (w[1] + 1.05).abs() < 1e-15);

        let constants = Momentum { learning_rate: 0.1, momentum: 0.9, nesterov: false, decay: 0.0 };
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

        let step = |centered: bool, with_momentum: bool| {
            let constants =
                RmsProp { learning_rate: 0.1, rho: 0.9, momentum: 0.5, epsilon: 0.0, centered, decay: 0.0 };
            let (mut w, mut v, mut m, mut a) = ([1.0_f64], [0.5], [0.25], [0.5]);
            let state = RmsPropState {
                velocity: &mut v,
                momentum: with_momentum.then_some(&mut m[..]),
                average_gradient: centered.then_some(&mut a[..]),
            };
            rmsprop(&mut w, state, &[2.0], constants);
            // v = 0.45 + 0.4, a = 0.45 + 0.2
            assert!((v[0] - 0.85).abs() < 1e-15 && (!centered || (a[0] - 0.65).abs() < 1e-15));
            w[0]
        };
        let plain = 0.2 / 0.85_f64.sqrt();
        let centered = 0.2 / (0.85 - 0.65 * 0.65_f64).sqrt();
        assert!((step(false, false) - (1.0 - plain)).abs() < 1e-15);
        assert!((step(false, true) - (1.0 - 0.125 - plain)).abs() < 1e-15);
        assert!((step(true, false) - (1.0 - centered)).abs() < 1e-15);
        assert!((step(true, true) - (1.0 - 0.125 - centered)).abs() < 1e-15);

        let constants = Nadam {
            of_momentum: 0.2,
            of_gradient: 0.4,
            one_minus_beta_1: 0.5,
            one_minus_beta_2: 0.25,
            epsilon: 0.5,
            decay: 0.0,
        };
        let (mut w, mut m, mut v) = ([1.0_f64], [1.0], [0.0]);
        nadam(&mut w, &mut m, &mut v, &[3.0], constants);
        // m = 2, v = 2.25, and the step is (0.4 + 1.2) / (1.5 + 0.5).
        assert!(m == [2.0] && v == [2.25] && (w[0] - 0.2).abs() < 1e-15);

        let constants = Lion { learning_rate: 0.1, beta_1: 0.75, beta_2: 0.5, decay: 0.0 };
        let (mut w, mut m) = ([1.0_f64, 1.0, 1.0], [1.0, -1.0, 0.0]);
        lion(&mut w, &mut m, &[-2.0, 0.0, 0.0], constants);
        assert_eq!((w, m), ([0.9, 1.1, 1.0], [-0.5, -0.5, 0.0]));
    }

    /// Each update beside its formula written out for one number, to the bit, with each instruction set.
    #[test]
    fn each_instruction_set_gives_the_formula_s_bits() {
        const DECAY: f32 = 0.01;
        let plain_kept = |w: f32| (-DECAY).mul_add(w, w);
        for len in [0, 1, 15, 16, 17, 100] {
            let mut stream = Stream::new(7, Purpose::Other(0), len as u64);
            let mut numbers = |scale: f32| -> Vec<f32> {
                (0..len).map(|i| if i % 7 == 3 { 0.0 } else { stream.normal() as f32 * scale }).collect()
            };
            let (w, g, m, a) = (numbers(1.0), numbers(0.1), numbers(0.1), numbers(0.01));
            let v: Vec<f32> = numbers(0.1).iter().map(|x| x * x).collect();
            // Each case returns parameters and state after a step, by the kernel or by the formula.
            let check =
                |name: &str, kernel: &dyn Fn() -> Vec<Vec<f32>>, plain: &dyn Fn(usize) -> Vec<f32>| {
                    let columns: Vec<Vec<f32>> = (0..len).map(plain).collect();
                    for (set, arrays) in with_each(kernel) {
                        for (k, array) in arrays.iter().enumerate() {
                            for (i, x) in array.iter().enumerate() {
                                let expected = columns[i][k];
                                assert_eq!(
                                    x.to_bits(),
                                    expected.to_bits(),
                                    "{name} {set:?} {k} {i}: {x}, {expected}"
                                );
                            }
                        }
                    }
                };
            check(
                "sgd",
                &|| {
                    let mut w = w.clone();
                    sgd(&mut w, &g, 0.1, DECAY);
                    vec![w]
                },
                &|i| vec![(-0.1_f32).mul_add(g[i], plain_kept(w[i]))],
            );
            for nesterov in [false, true] {
                let constants = Momentum { learning_rate: 0.1, momentum: 0.9, nesterov, decay: DECAY };
                check(
                    "momentum",
                    &|| {
                        let (mut w, mut m) = (w.clone(), m.clone());
                        momentum(&mut w, &mut m, &g, constants);
                        vec![w, m]
                    },
                    &|i| {
                        let down = -(0.1 * g[i]);
                        let next = 0.9_f32.mul_add(m[i], down);
                        let step = if nesterov { 0.9_f32.mul_add(next, down) } else { next };
                        vec![plain_kept(w[i]) + step, next]
                    },
                );
            }
            let constants = Lion { learning_rate: 0.01, beta_1: 0.9, beta_2: 0.99, decay: DECAY };
            check(
                "lion",
                &|| {
                    let (mut w, mut m) = (w.clone(), m.clone());
                    lion(&mut w, &mut m, &g, constants);
                    vec![w, m]
                },
                &|i| {
                    let direction = 0.9_f32.mul_add(m[i], (1.0 - 0.9_f32) * g[i]);
                    let sign = if direction == 0.0 { 0.0 } else { direction.signum() };
                    vec![plain_kept(w[i]) - 0.01 * sign, 0.99_f32.mul_add(m[i], (1.0 - 0.99_f32) * g[i])]
                },
            );
            let constants = Nadam {
                of_momentum: 0.002,
                of_gradient: 0.0003,
                one_minus_beta_1: 0.1,
                one_minus_beta_2: 0.001,
                epsilon: 1e-7,
                decay: DECAY,
            };
            check(
                "nadam",
                &|| {
                    let (mut w, mut m, mut v) = (w.clone(), m.clone(), v.clone());
                    nadam(&mut w, &mut m, &mut v, &g, constants);
                    vec![w, m, v]
                },
                &|i| {
                    let m = (g[i] - m[i]).mul_add(0.1, m[i]);
                    let v = g[i].mul_add(g[i], -v[i]).mul_add(0.001, v[i]);
                    let step = 0.002_f32.mul_add(m, 0.0003 * g[i]) / (v.sqrt() + 1e-7);
                    vec![plain_kept(w[i]) - step, m, v]
                },
            );
            for (centered, with_momentum) in [(false, false), (false, true), (true, false), (true, true)] {
                let constants = RmsProp {
                    learning_rate: 0.01,
                    rho: 0.9,
                    momentum: 0.8,
                    epsilon: 1e-7,
                    centered,
                    decay: DECAY,
                };
                check(
                    "rmsprop",
                    &|| {
                        let (mut w, mut v, mut m, mut a) = (w.clone(), v.clone(), m.clone(), a.clone());
                        let state = RmsPropState {
                            velocity: &mut v,
                            momentum: with_momentum.then_some(&mut m[..]),
                            average_gradient: centered.then_some(&mut a[..]),
                        };
                        rmsprop(&mut w, state, &g, constants);
                        vec![w, v, m, a]
                    },
                    &|i| {
                        let share = 1.0 - 0.9_f32;
                        let v = 0.9_f32.mul_add(v[i], share * (g[i] * g[i]));
                        let a = if centered { 0.9_f32.mul_add(a[i], share * g[i]) } else { a[i] };
                        let under_root = if centered { (-a).mul_add(a, v).max(0.0) } else { v };
                        let step = 0.01 * g[i] / (under_root + 1e-7).sqrt();
                        let m = if with_momentum { 0.8_f32.mul_add(m[i], step) } else { m[i] };
                        vec![plain_kept(w[i]) - if with_momentum { m } else { step }, v, m, a]
                    },
                );
            }
        }
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
        let constants = Lion { learning_rate: 0.001, beta_1: 0.9, beta_2: 0.99, decay: 0.0 };
        let (mut w, mut m) = ([0.5_f32], [0.0]);
        lion(&mut w, &mut m, &[f32::NAN], constants);
        assert!(w[0].is_nan() && m[0].is_nan());
        let constants = RmsProp {
            learning_rate: 0.1,
            rho: 0.9,
            momentum: 0.5,
            epsilon: 1e-7,
            centered: true,
            decay: 0.0,
        };
        let (mut w, mut v, mut a) = ([0.5_f32], [0.0], [0.0]);
        let state = RmsPropState { velocity: &mut v, momentum: None, average_gradient: Some(&mut a) };
        rmsprop(&mut w, state, &[f32::NAN], constants);
        assert!(w[0].is_nan() && v[0].is_nan() && a[0].is_nan());
    }
}
