//! The vectors of the kernels: sixteen numbers, in vector registers if the instruction set has a type for them.
//!
//! The compiler vectorizes most loops over arrays. But in loops that keep a dozen vectors it sometimes splits one into sixteen
//! scalars, which takes three times as long, or it gathers the first numbers of eight vectors into one (the gradient of the
//! weights of a pixel: 60 us instead of 13 us). The cause can be as remote as the way in which a result is stored after the
//! loop. Vector types prevent this.

use crate::float::Float;

/// The number of elements of a vector: `f32` takes one register of AVX-512, two of AVX2, or four of SSE2.
pub(crate) const LANES: usize = 16;

/// The elements of a vector as an array.
pub(crate) type Lanes<T> = [T; LANES];

/// Returns the array `[at(0), at(1), ...]`. `N` must be at least 1.
///
/// `std::array::from_fn` generates five times as much code for the compiler, in about a thousand instances.
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

/// A number type that has vectors. The name is that of the trait in `std::simd`.
pub trait SimdElement: Float {
    /// The one of two vector types whose elements have this type.
    ///
    /// An instruction set selects its vector type with this, in the file that defines the type. No other file can name the type.
    #[doc(hidden)]
    type Choice<OfF32: Vector<f32>, OfF64: Vector<f64>>: Vector<Self>;
}

impl SimdElement for f32 {
    type Choice<OfF32: Vector<f32>, OfF64: Vector<f64>> = OfF32;
}

impl SimdElement for f64 {
    type Choice<OfF32: Vector<f32>, OfF64: Vector<f64>> = OfF64;
}

/// A vector of sixteen numbers. Each operation gives the bits of the scalar operation on each element.
///
/// Every method of an implementation must be `#[inline(always)]`.
pub trait Vector<T>: Copy {
    /// Returns a vector whose elements all are `value`.
    fn splat(value: T) -> Self;
    /// Returns the vector of the elements of `from`.
    fn load(from: &Lanes<T>) -> Self;
    /// Writes the elements to `to`.
    fn store(self, to: &mut Lanes<T>);

    /// Returns the vector of the elements of `from`, at most sixteen, followed by zeros.
    #[inline(always)]
    fn load_part(from: &[T]) -> Self
    where
        T: Float,
    {
        let mut lanes = [T::zero(); LANES];
        lanes[..from.len()].copy_from_slice(from);
        Self::load(&lanes)
    }

    /// Writes the first `to.len()` elements, at most sixteen, to `to`.
    #[inline(always)]
    fn store_part(self, to: &mut [T])
    where
        T: Float,
    {
        let mut lanes = [T::zero(); LANES];
        self.store(&mut lanes);
        // Copies pieces of 16, 8, 4, 2 and 1 numbers. A loop over single numbers takes longer than the product of a narrow layer.
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
    /// The square root of each element, correctly rounded.
    fn sqrt(self) -> Self;
    /// The maximum of each element and zero. NaN stays NaN.
    fn relu(self) -> Self;
    /// Replaces elements whose magnitude is below [`Float::TINY`] by zero. NaN stays NaN.
    fn flushed(self) -> Self;
    /// Returns the result of [`Vector::flushed`] and its square root, correctly rounded.
    #[inline(always)]
    fn flushed_with_root(self) -> (Self, Self) {
        let flushed = self.flushed();
        (flushed, flushed.sqrt())
    }
    /// Whether all elements are zero.
    fn is_zero(self) -> bool;

    /// The final step of a sum before it is stored.
    ///
    /// Adds zero, which turns -0 into +0 and changes nothing else, and applies relu if `RELU` is set. A kernel that skips zero
    /// inputs and one that multiplies by them can differ only in the sign of a zero sum. So this step makes their results equal.
    #[inline(always)]
    fn finished<const RELU: bool>(self) -> Self
    where
        T: Float,
    {
        let sum = self.add(Self::splat(T::zero()));
        if RELU { sum.relu() } else { sum }
    }
}

/// Copies `N` numbers from index `at` on, if `to.len()` has the bit `N`, and returns how many were copied.
#[inline(always)]
fn piece<T: Float, const N: usize>(lanes: &Lanes<T>, to: &mut [T], at: usize) -> usize {
    if to.len() & N == 0 {
        return 0;
    }
    to[at..at + N].copy_from_slice(&lanes[at..at + N]);
    N
}

/// A vector for any number type and processor, as an array. `FUSED` says whether the processor has an instruction for `mul_add`.
#[derive(Clone, Copy)]
pub(crate) struct Plain<T, const FUSED: bool>(Lanes<T>);

impl<T: Float, const FUSED: bool> Plain<T, FUSED> {
    #[inline(always)]
    fn zip_map(self, other: Self, operation: impl Fn(T, T) -> T) -> Self {
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
        self.zip_map(other, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip_map(other, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip_map(other, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.zip_map(other, |a, b| a / b)
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
