//! Resampling of images of bytes: a cubic B-spline gives the source position of each pixel, bilinear interpolation its value.
//!
//! The map is the free-form deformation of Rueckert and others, "Nonrigid Registration Using Free-Form Deformations: Application
//! to Breast MR Images", IEEE Transactions on Medical Imaging 18, 1999. Along each axis, a pixel lies at a fraction t of the
//! distance from the second to the third of its four control points. Their weights are B0 = (1 - t)^3 / 6,
//! B1 = (3 t^3 - 6 t^2 + 4) / 6, B2 = (-3 t^3 + 3 t^2 + 3 t + 1) / 6 and B3 = t^3 / 6. These weights reproduce every affine map.
//! One grid of control points can therefore represent the sum of an affine map and a smooth displacement.
//!
//! Products and sums are rounded separately. Fused multiply-adds would save an eighth of the instructions on processors that have
//! them, and would be several times slower on the others.

#[cfg(test)]
mod tests;

use crate::isa::{self, Isa, Kernel, LANES, Lanes};

/// The maximum number of rows and of columns of an image: source positions have 15 bits before the binary point and 8 after it.
pub const MAX_SIDE: usize = 32_766;

/// The width of a pixel in fixed-point units: source positions are multiples of 1/256 of a pixel.
const PIXEL: u32 = 256;

/// The number of vectors of pixels that are resampled together.
///
/// The gather writes single pixels, and the interpolation reads them as vectors. If such a load closely follows its stores, the
/// processor cannot forward them and waits until they have reached the cache. With one vector at a time, this is a quarter of the
/// whole time (1.7 us instead of 1.3 us for 28x28 with AVX-512). 64 vectors take 16 KiB, a part of the first-level cache.
const BLOCK: usize = 64;

/// A vector that is aligned to a cache line. A vector that crosses a cache line takes two accesses.
#[repr(align(64))]
#[derive(Clone, Copy, Debug)]
struct Aligned(Lanes<f32>);

/// The weights of the control points along one axis.
#[derive(Clone, Debug)]
struct Axis {
    /// For each pixel, the index of the first of its four control points, and the weights of the four.
    weights: Vec<(usize, [f32; 4])>,
    /// The number of control points.
    points: usize,
}

impl Axis {
    /// Places control points every `spacing` pixels: the first one at `-spacing`, the last two after the last pixel.
    fn new(pixels: usize, spacing: f32) -> Self {
        let weights: Vec<_> = (0..pixels)
            .map(|pixel| {
                let position = pixel as f32 / spacing;
                let t = position - position.floor();
                let (t2, t3, s) = (t * t, t * t * t, 1.0 - t);
                let b = [
                    s * s * s / 6.0,
                    (3.0 * t3 - 6.0 * t2 + 4.0) / 6.0,
                    (-3.0 * t3 + 3.0 * t2 + 3.0 * t + 1.0) / 6.0,
                    t3 / 6.0,
                ];
                (position as usize, b)
            })
            .collect();
        let points = weights.last().map_or(0, |(first, _)| first + 4);
        Self { weights, points }
    }

    /// The mean over the pixels of the sum of the squared weights.
    fn variance_factor(&self) -> f32 {
        let sums = self.weights.iter().map(|(_, b)| b.iter().map(|b| b * b).sum::<f32>());
        sums.sum::<f32>() / self.weights.len() as f32
    }
}

/// The weights of the control points for a vector of [`LANES`] columns.
#[derive(Clone, Debug)]
struct Band {
    /// The index of the first control point that has a weight in these columns.
    first: usize,
    /// For each control point from the first one on, its weight in each column. Most of them are 0.
    weights: Vec<Aligned>,
}

impl Band {
    fn new(columns: &[(usize, [f32; 4])]) -> Self {
        let first = columns.first().map_or(0, |(first, _)| *first);
        let last = columns.last().map_or(0, |(first, _)| *first);
        let mut weights = vec![Aligned([0.0; LANES]); last - first + 4];
        for (lane, (point, b)) in columns.iter().enumerate() {
            for (weights, b) in weights[point - first..].iter_mut().zip(b) {
                weights.0[lane] = *b;
            }
        }
        Self { first, weights }
    }
}

/// The source positions of a vector of pixels, and the four source pixels around each.
#[repr(align(64))]
#[derive(Clone, Copy, Debug, Default)]
struct Pixels {
    /// The index in [`SplineWarp::pairs`] of the source pixel above and to the left of each source position.
    index: Lanes<u32>,
    /// How far each source position lies below that pixel, in units of 1/[`PIXEL`] pixel.
    row_fraction: Lanes<u32>,
    /// How far it lies to the right of that pixel, in the same units.
    column_fraction: Lanes<u32>,
    /// The four source pixels, from the lowest byte on: upper left, lower left, upper right, lower right.
    neighbors: Lanes<u32>,
}

/// Resamples images of one shape along a cubic B-spline. It owns the working memory, so that [`SplineWarp::resample`] allocates
/// nothing.
///
/// ```
/// use ziffer_tensor::interpolate::SplineWarp;
/// let mut warp = SplineWarp::new([2, 3], 4.0);
/// // Control points at -4, 0, 4 and 8 along both axes. The source of each pixel is one column to the right of it.
/// let at = [-4.0, 0.0, 4.0, 8.0_f32];
/// let rows = at.iter().flat_map(|row| [*row; 4]);
/// let columns = at.iter().flat_map(|_| at.map(|column| column + 1.0));
/// let points: Vec<f32> = rows.chain(columns).collect();
/// let mut out = [0; 6];
/// warp.resample(&points, &[1, 2, 3, 4, 5, 6], &mut out);
/// assert_eq!(out, [2, 3, 0, 5, 6, 0]);
/// ```
#[derive(Clone, Debug)]
pub struct SplineWarp {
    shape: [usize; 2],
    rows: Axis,
    columns: Axis,
    bands: Vec<Band>,
    /// The control points in units of 1/[`PIXEL`] pixel.
    points: Vec<f32>,
    /// The result of [`evaluate_columns`]: first the row coordinates, then the column coordinates.
    column_sums: Vec<Aligned>,
    /// Each pixel and the pixel below it. The image has one row and one column of zeros before it and at least one of each after
    /// it.
    pairs: Vec<[u8; 2]>,
    zeros: Vec<u8>,
    block: Vec<Pixels>,
}

impl SplineWarp {
    /// Creates a warp of images of `shape`, \[rows, columns\], with control points every `spacing` pixels along both axes.
    ///
    /// # Panics
    /// If `shape` has more than [`MAX_SIDE`] rows or columns, or `spacing` is not a positive finite number.
    pub fn new(shape: [usize; 2], spacing: f32) -> Self {
        let [rows, columns] = shape;
        assert!(rows <= MAX_SIDE && columns <= MAX_SIDE, "an image has at most {MAX_SIDE} rows and columns");
        assert!(spacing > 0.0 && spacing < f32::INFINITY, "the spacing must be a positive finite number");
        let (row_axis, column_axis) = (Axis::new(rows, spacing), Axis::new(columns, spacing));
        let bands: Vec<Band> = column_axis.weights.chunks(LANES).map(Band::new).collect();
        let block = bands.len() * rows.min(rows_of_block(bands.len()));
        Self {
            shape,
            points: vec![0.0; 2 * row_axis.points * column_axis.points],
            column_sums: vec![Aligned([0.0; LANES]); 2 * row_axis.points * bands.len()],
            pairs: vec![[0; 2]; (rows + 2) * stride(columns) + 1],
            zeros: vec![0; columns],
            block: vec![Pixels::default(); block],
            rows: row_axis,
            columns: column_axis,
            bands,
        }
    }

    /// Returns the shape of the grid of control points, \[rows, columns\].
    ///
    /// Control point \[i, j\] lies at row (i - 1) spacing and column (j - 1) spacing of the image.
    pub fn grid(&self) -> [usize; 2] {
        [self.rows.points, self.columns.points]
    }

    /// Returns the variance of a source coordinate, averaged over the pixels, if the coordinates of the control points are
    /// independent and have variance 1. The result is NaN if the image has no pixels.
    pub fn variance_factor(&self) -> f32 {
        self.rows.variance_factor() * self.columns.variance_factor()
    }

    /// Returns the source position, \[row, column\], of the pixel at `row` and `column`: the sum of the control points, each
    /// multiplied by its weights along both axes.
    ///
    /// `points` is as in [`SplineWarp::resample`].
    ///
    /// # Panics
    /// If `points` has the wrong length, or the pixel is outside of the image.
    pub fn place(&self, points: &[f32], [row, column]: [usize; 2]) -> [f32; 2] {
        assert_eq!(points.len(), self.points.len(), "control points");
        let ((i, b), (j, c)) = (&self.rows.weights[row], &self.columns.weights[column]);
        let (along_rows, along_columns) = points.split_at(points.len() / 2);
        [along_rows, along_columns].map(|points| {
            let rows = points.chunks_exact(self.columns.points).skip(*i);
            let at_column = |points: &[f32]| points[*j..].iter().zip(c).map(|(p, c)| p * c).sum::<f32>();
            rows.zip(b).map(|(points, b)| at_column(points) * b).sum()
        })
    }

    /// Resamples `image` to `out`, both \[rows, columns\] in C order. Pixels outside of the image count as 0.
    ///
    /// `points` is \[2, grid rows, grid columns\] in C order: the row coordinates of the control points, then their column
    /// coordinates, in pixels from the center of the first pixel. The spline that they define gives each pixel of `out` a source
    /// position, which is rounded to 1/256 of a pixel. The value of the pixel is interpolated bilinearly between the four source
    /// pixels around this position and rounded half up.
    ///
    /// Control points may be infinite or NaN. The pixels whose source positions depend on them have unspecified values.
    ///
    /// # Panics
    /// If `points`, `image` or `out` has the wrong length.
    pub fn resample(&mut self, points: &[f32], image: &[u8], out: &mut [u8]) {
        let [rows, columns] = self.shape;
        assert_eq!(points.len(), self.points.len(), "control points");
        assert_eq!(image.len(), rows * columns, "pixels of the image");
        assert_eq!(out.len(), rows * columns, "pixels of the resampled image");
        if !out.is_empty() {
            isa::run(Resample { warp: self, points, image, out });
        }
    }
}

/// The row stride of [`SplineWarp::pairs`]: room for one column of zeros before the image and at least one after it.
///
/// It is a power of two, because an integer multiplication has ten times the latency of a shift.
#[inline(always)]
fn stride(columns: usize) -> usize {
    (columns + 2).next_power_of_two()
}

/// The number of rows of `bands` vectors that are resampled together.
#[inline(always)]
fn rows_of_block(bands: usize) -> usize {
    (BLOCK / bands.max(1)).max(1)
}

struct Resample<'a> {
    warp: &'a mut SplineWarp,
    points: &'a [f32],
    image: &'a [u8],
    out: &'a mut [u8],
}

impl Kernel for Resample<'_> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { warp, points, image, out } = self;
        let columns = warp.shape[1];
        pair_rows(image, columns, &warp.zeros, &mut warp.pairs);
        for (scaled, point) in warp.points.iter_mut().zip(points) {
            // One row and one column of zeros precede the image.
            *scaled = (point + 1.0) * PIXEL as f32;
        }
        evaluate_columns(&warp.points, warp.columns.points, &warp.bands, &mut warp.column_sums);
        let bands = warp.bands.len();
        let rows_of_block = rows_of_block(bands);
        let rows = warp.rows.weights.chunks(rows_of_block);
        for (rows, out) in rows.zip(out.chunks_mut(rows_of_block * columns)) {
            let block = &mut warp.block[..rows.len() * bands];
            locate(rows, &warp.column_sums, warp.shape, block);
            gather(&warp.pairs, block);
            interpolate(block, bands, columns, out);
        }
    }
}

/// Writes each pixel and the pixel below it next to each other.
#[inline(always)]
fn pair_rows(image: &[u8], columns: usize, zeros: &[u8], pairs: &mut [[u8; 2]]) {
    let mut upper = &zeros[..columns];
    let rows = image.chunks_exact(columns).chain([upper]);
    for (pairs, lower) in pairs.chunks_exact_mut(stride(columns)).zip(rows) {
        let pairs = &mut pairs[1..][..columns];
        if let (Some(last), Some(a), Some(b)) =
            (pairs.last_chunk_mut(), upper.last_chunk(), lower.last_chunk())
        {
            // The last vector of a row overlaps the one before it.
            interleave(a, b, last);
            let rows = upper.as_chunks().0.iter().zip(lower.as_chunks().0);
            for ((a, b), pairs) in rows.zip(pairs.as_chunks_mut().0) {
                interleave(a, b, pairs);
            }
        } else {
            pairs.iter_mut().zip(upper).zip(lower).for_each(|((pair, a), b)| *pair = [*a, *b]);
        }
        upper = lower;
    }
}

#[inline(always)]
fn interleave(a: &Lanes<u8>, b: &Lanes<u8>, pairs: &mut Lanes<[u8; 2]>) {
    // With 16-bit integers, which the compiler vectorizes.
    *pairs = std::array::from_fn(|lane| (u16::from(a[lane]) | u16::from(b[lane]) << 8).to_le_bytes());
}

/// Evaluates the spline horizontally: for each row of control points and each column of pixels, the weighted sum of the control
/// points.
#[inline(always)]
fn evaluate_columns(points: &[f32], columns: usize, bands: &[Band], out: &mut [Aligned]) {
    for (points, out) in points.chunks_exact(columns).zip(out.chunks_exact_mut(bands.len())) {
        for (band, out) in bands.iter().zip(out) {
            let mut sum = [0.0; LANES];
            for (weights, point) in band.weights.iter().zip(&points[band.first..]) {
                for (sum, weight) in sum.iter_mut().zip(&weights.0) {
                    *sum += weight * point;
                }
            }
            out.0 = sum;
        }
    }
}

/// Evaluates the spline vertically, which gives the source positions of the pixels of `rows`.
#[inline(always)]
fn locate(rows: &[(usize, [f32; 4])], column_sums: &[Aligned], shape: [usize; 2], block: &mut [Pixels]) {
    let bands = shape[1].div_ceil(LANES);
    let (along_rows, along_columns) = column_sums.split_at(column_sums.len() / 2);
    // Source positions beyond the image are clamped to one pixel beyond its end, where all pixels are 0.
    let outside = shape.map(|size| (size as u32 + 1) * PIXEL);
    let shift = stride(shape[1]).trailing_zeros();
    for ((first, b), block) in rows.iter().zip(block.chunks_exact_mut(bands)) {
        let row = |k: usize| &along_rows[(first + k) * bands..][..bands];
        let column = |k: usize| &along_columns[(first + k) * bands..][..bands];
        let (r, c) = ([row(0), row(1), row(2), row(3)], [column(0), column(1), column(2), column(3)]);
        for (band, pixels) in block.iter_mut().enumerate() {
            let y = positions(b, [&r[0][band].0, &r[1][band].0, &r[2][band].0, &r[3][band].0], outside[0]);
            let x = positions(b, [&c[0][band].0, &c[1][band].0, &c[2][band].0, &c[3][band].0], outside[1]);
            for lane in 0..LANES {
                pixels.index[lane] = (y[lane] / PIXEL) << shift | (x[lane] / PIXEL);
                pixels.row_fraction[lane] = y[lane] % PIXEL;
                pixels.column_fraction[lane] = x[lane] % PIXEL;
            }
        }
    }
}

/// Source positions along one axis as integers from 0 to `outside`.
#[inline(always)]
fn positions(b: &[f32; 4], p: [&Lanes<f32>; 4], outside: u32) -> Lanes<u32> {
    /// 2^23. From here to 2^24 the last bit of an `f32` has the value 1, so that adding this number rounds to an integer.
    const TWO_TO_23: f32 = 8_388_608.0;
    std::array::from_fn(|lane| {
        let position = ((b[0] * p[0][lane] + b[1] * p[1][lane]) + b[2] * p[2][lane]) + b[3] * p[3][lane];
        // If the position is negative, too large, or NaN, this difference is larger than `outside`.
        (position + TWO_TO_23).to_bits().wrapping_sub(TWO_TO_23.to_bits()).min(outside)
    })
}

/// Gathers the four source pixels around each source position.
#[inline(always)]
fn gather(pairs: &[[u8; 2]], block: &mut [Pixels]) {
    // The slices have the same length, so that one bounds check covers both and the two loads become one.
    let len = pairs.len() - 1;
    let (left, right) = (&pairs[..len], &pairs[1..][..len]);
    for pixels in block {
        for (neighbors, index) in pixels.neighbors.iter_mut().zip(&pixels.index) {
            let ([a, b], [c, d]) = (left[*index as usize], right[*index as usize]);
            *neighbors = u32::from_le_bytes([a, b, c, d]);
        }
    }
}

/// Interpolates the pixels of the rows of a block.
#[inline(always)]
fn interpolate(block: &[Pixels], bands: usize, columns: usize, out: &mut [u8]) {
    for (row, block) in block.chunks_exact(bands).enumerate() {
        for (band, pixels) in block.iter().enumerate() {
            let values: Lanes<u8> = std::array::from_fn(|lane| {
                bilinear(pixels.neighbors[lane], pixels.row_fraction[lane], pixels.column_fraction[lane])
            });
            // The last vector of a row may extend into the next row, which overwrites the excess.
            let out = &mut out[row * columns + band * LANES..];
            if let Some(out) = out.first_chunk_mut() {
                *out = values;
            } else {
                store_part(&values, out);
            }
        }
    }
}

/// Copies the first `out.len()` values. A separate function: inlined, the compiler would merge this copy and the store of a whole
/// vector into one copy of variable length.
#[cold]
#[inline(never)]
fn store_part(values: &Lanes<u8>, out: &mut [u8]) {
    out.copy_from_slice(&values[..out.len()]);
}

/// The bilinear interpolation of four pixels, as in [`Pixels::neighbors`], rounded half up. The fractions are multiples of 1/256.
#[inline(always)]
fn bilinear(neighbors: u32, row_fraction: u32, column_fraction: u32) -> u8 {
    // Each half of the number holds one vertical interpolation. The results are at most 255 * 256, and differences wrap.
    let (upper, lower) = (neighbors & 0x00ff_00ff, neighbors >> 8 & 0x00ff_00ff);
    let both = (upper << 8).wrapping_add(lower.wrapping_sub(upper).wrapping_mul(row_fraction));
    let (left, right) = (both & 0xffff, both >> 16);
    let value = (left << 8).wrapping_add(right.wrapping_sub(left).wrapping_mul(column_fraction));
    (value.wrapping_add(0x8000) >> 16) as u8
}
