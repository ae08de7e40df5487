//! The vectors of the kernels: sixteen numbers, in the instruction sets' own registers where there is a type for them.
//!
//! The compiler can make vectors of plain loops over arrays, and it mostly does. But in loops that keep a dozen of them it
//! now and then splits one into its sixteen numbers, at three times the cost, or makes one vector of the first numbers of
//! eight by gathers (the gradient of a pixel's weights: 60 us instead of 13), and what brings it to that is as remote as
//! the way in which a result is stored after the loop. Typed, they stay whole.

use crate::float::Float;

/// Numbers in a vector of the kernels: one AVX-512 register of `f32`, two of AVX2, four of SSE2.
pub(crate) const LANES: usize = 16;

/// The numbers of a vector as an array.
pub(crate) type Lanes<T> = [T; LANES];

/// The array of `at(0)`, `at(1)` and so on; `N` is at least 1.
///
/// `std::array::from_fn` is five times as much code for the compiler, in some thousand instances.
#[inline(always)]
pub(crate) fn array<T: Copy, const N: usize>(mut at: impl FnMut(usize) -> T) -> [T; N] {
    let mut all = [at(0); N];
    let mut i = 1;
    while i < N {
        all[i] = at(i);
        i += 1;
    }
    all
}

/// A type of number that has vectors. The name is that of `std::simd`'s trait.
pub trait SimdElement: Float {
    /// Of the vectors of two types of numbers, those of this type.
    ///
    /// An instruction set chooses its vectors by this in the file that defines them; no other file can name them.
    #[doc(hidden)]
    type Choice<OfF32: Vector<f32>, OfF64: Vector<f64>>: Vector<Self>;
}

impl SimdElement for f32 {
    type Choice<OfF32: Vector<f32>, OfF64: Vector<f64>> = OfF32;
}

impl SimdElement for f64 {
    type Choice<OfF32: Vector<f32>, OfF64: Vector<f64>> = OfF64;
}

/// Sixteen numbers. Each operation is that of the numbers one by one, to the bit.
///
/// Every method of an implementation must be `#[inline(always)]`.
pub trait Vector<T>: Copy {
    /// The same number everywhere.
    fn splat(value: T) -> Self;
    fn load(from: &Lanes<T>) -> Self;
    fn store(self, to: &mut Lanes<T>);

    /// `from`, at most sixteen numbers, and zeros.
    #[inline(always)]
    fn load_part(from: &[T]) -> Self
    where
        T: Float,
    {
        let mut lanes = [T::zero(); LANES];
        lanes[..from.len()].copy_from_slice(from);
        Self::load(&lanes)
    }

    /// The first numbers, as many as `to` has, at most sixteen.
    #[inline(always)]
    fn store_part(self, to: &mut [T])
    where
        T: Float,
    {
        let mut lanes = [T::zero(); LANES];
        self.store(&mut lanes);
        // In pieces of powers of two: one number after the other takes longer than the product of a narrow layer.
        let mut at = 0;
        at += piece::<T, 16>(&lanes, to, at);
        at += piece::<T, 8>(&lanes, to, at);
        at += piece::<T, 4>(&lanes, to, at);
        at += piece::<T, 2>(&lanes, to, at);
        piece::<T, 1>(&lanes, to, at);
    }

    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    /// `self * b + c`, rounded once.
    fn mul_add(self, b: Self, c: Self) -> Self;
    /// `self * b - c`, rounded once.
    fn mul_sub(self, b: Self, c: Self) -> Self;
    /// `c - self * b`, rounded once.
    fn neg_mul_add(self, b: Self, c: Self) -> Self;
    /// The square roots, correctly rounded.
    fn sqrt(self) -> Self;
    /// Zero for what is negative; NaN stays.
    fn relu(self) -> Self;
    /// Zero for what is smaller than [`Float::TINY`] in magnitude; NaN stays.
    fn flushed(self) -> Self;
    /// The result of [`Vector::flushed`], and its square roots, correctly rounded.
    #[inline(always)]
    fn flushed_with_root(self) -> (Self, Self) {
        let flushed = self.flushed();
        (flushed, flushed.sqrt())
    }
    /// Whether every number is zero.
    fn is_zero(self) -> bool;

    /// The final step of a sum before it is stored.
    ///
    /// Adding zero turns -0 into +0 and changes nothing else. A kernel that skips zero inputs and one that multiplies
    /// by them can differ in the sign of a zero sum only, so this step makes their results equal.
    #[inline(always)]
    fn finished<const RELU: bool>(self) -> Self
    where
        T: Float,
    {
        let sum = self.add(Self::splat(T::zero()));
        if RELU { sum.relu() } else { sum }
    }
}

#[inline(always)]
fn piece<T: Float, const N: usize>(lanes: &Lanes<T>, to: &mut [T], at: usize) -> usize {
    if to.len() & N == 0 {
        return 0;
    }
    to[at..at + N].copy_from_slice(&lanes[at..at + N]);
    N
}

/// A vector of any type and processor. `FUSED` says whether there is an instruction for `mul_add`.
#[derive(Clone, Copy)]
pub(crate) struct Plain<T, const FUSED: bool>(Lanes<T>);

impl<T: Float, const FUSED: bool> Plain<T, FUSED> {
    #[inline(always)]
    fn with(self, other: Self, operation: impl Fn(T, T) -> T) -> Self {
        Self(array(|lane| operation(self.0[lane], other.0[lane])))
    }

    #[inline(always)]
    fn fma(a: T, b: T, c: T) -> T {
        if FUSED { a.mul_add(b, c) } else { a.mul_add_emulated(b, c) }
    }
}

impl<T: Float, const FUSED: bool> Vector<T> for Plain<T, FUSED> {
    #[inline(always)]
    fn splat(value: T) -> Self {
        Self([value; LANES])
    }
    #[inline(always)]
    fn load(from: &Lanes<T>) -> Self {
        Self(*from)
    }
    #[inline(always)]
    fn store(self, to: &mut Lanes<T>) {
        *to = self.0;
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.with(other, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.with(other, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.with(other, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.with(other, |a, b| a / b)
    }
    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        Self(array(|lane| Self::fma(self.0[lane], b.0[lane], c.0[lane])))
    }
    #[inline(always)]
    fn mul_sub(self, b: Self, c: Self) -> Self {
        Self(array(|lane| Self::fma(self.0[lane], b.0[lane], -c.0[lane])))
    }
    #[inline(always)]
    fn neg_mul_add(self, b: Self, c: Self) -> Self {
        Self(array(|lane| Self::fma(-self.0[lane], b.0[lane], c.0[lane])))
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(array(|lane| self.0[lane].sqrt()))
    }
    #[inline(always)]
    fn relu(self) -> Self {
        Self(array(|lane| if self.0[lane] < T::zero() { T::zero() } else { self.0[lane] }))
    }
    #[inline(always)]
    fn flushed(self) -> Self {
        Self(array(|lane| if self.0[lane].abs() < T::TINY { T::zero() } else { self.0[lane] }))
    }
    #[inline(always)]
    fn is_zero(self) -> bool {
        self.0.iter().all(|&x| x == T::zero())
    }
}
