//! Pictures of bytes, resampled: cubic B-splines say where each pixel comes from, bilinear interpolation what it is.
//!
//! The map is the free-form deformation of Rueckert and others, "Nonrigid Registration Using Free-Form Deformations: Application
//! to Breast MR Images", IEEE Transactions on Medical Imaging 18, 1999. Along each axis, the four control points around a place
//! at a share t of the way from the second to the third have the weights B0 = (1 - t)^3 / 6, B1 = (3 t^3 - 6 t^2 + 4) / 6,
//! B2 = (-3 t^3 + 3 t^2 + 3 t + 1) / 6, B3 = t^3 / 6. These weights reproduce every affine map, so that one grid of control
//! points carries an affine map and a smooth displacement together.
//!
//! Sums are formed by multiplication and addition, each rounded. Fused multiply-adds would save an eighth of the instructions
//! where there is one for it, and be several times slower where there is none.

#[cfg(test)]
mod tests;

use crate::isa::{self, Isa, Kernel, LANES, Lanes};

/// The most rows and the most columns of a picture: places have 15 bits before the binary point and 8 behind it.
pub const MAX_SIDE: usize = 32_766;

/// The width of a pixel, in units of a place's last bit.
const PIXEL: u32 = 256;

/// Vectors of pixels that are resampled together. What is looked up is written pixel by pixel and read as vectors: where such a
/// load follows its stores closely, the processor waits until they have reached the cache. Vector by vector, that is a quarter
/// of the whole time (1.7 us instead of 1.3 for 28x28 with AVX-512). 64 take 16 KiB, a part of the first cache.
const BLOCK: usize = 64;

/// Numbers that begin at a cache line: a vector that crosses one takes two accesses.
#[repr(align(64))]
#[derive(Clone, Copy, Debug)]
struct Aligned(Lanes<f32>);

/// The weights of the control points along one axis.
#[derive(Clone, Debug)]
struct Axis {
    /// For each pixel, the first of its four control points, and their weights.
    weights: Vec<(usize, [f32; 4])>,
    points: usize,
}

impl Axis {
    /// Control points every `spacing` pixels: the first at `-spacing`, and two behind the last pixel.
    fn new(pixels: usize, spacing: f32) -> Self {
        let weights: Vec<_> = (0..pixels)
            .map(|pixel| {
                let place = pixel as f32 / spacing;
                let t = place - place.floor();
                let (t2, t3, s) = (t * t, t * t * t, 1.0 - t);
                let b = [
                    s * s * s / 6.0,
                    (3.0 * t3 - 6.0 * t2 + 4.0) / 6.0,
                    (-3.0 * t3 + 3.0 * t2 + 3.0 * t + 1.0) / 6.0,
                    t3 / 6.0,
                ];
                (place as usize, b)
            })
            .collect();
        let points = weights.last().map_or(0, |(first, _)| first + 4);
        Self { weights, points }
    }

    /// The mean over the pixels of the sum of the weights' squares.
    fn variance_factor(&self) -> f32 {
        let sums = self.weights.iter().map(|(_, b)| b.iter().map(|b| b * b).sum::<f32>());
        sums.sum::<f32>() / self.weights.len() as f32
    }
}

/// The control points of a vector of columns.
#[derive(Clone, Debug)]
struct Band {
    first: usize,
    /// For each control point, its weight in each column, which is 0 in most.
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

/// A vector of pixels on its way.
#[repr(align(64))]
#[derive(Clone, Copy, Debug, Default)]
struct Pixels {
    /// The number of the pixel up and left of each place in [`SplineWarp::pairs`].
    index: Lanes<u32>,
    /// How far each place is from that pixel, in units of its last bit.
    down: Lanes<u32>,
    right: Lanes<u32>,
    /// The pixel, and from its second lowest byte on those below it, to the right of it, and below that.
    around: Lanes<u32>,
}

/// Resamples pictures of one shape by a cubic B-spline, and has the memory that it takes.
///
/// ```
/// use ziffer_tensor::interpolate::SplineWarp;
/// let mut warp = SplineWarp::new([2, 3], 4.0);
/// // Control points at -4, 0, 4 and 8 along both axes. Each pixel comes from one column further to the right.
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
    /// The control points in units of a place's last bit.
    points: Vec<f32>,
    /// The places along rows, then those along columns, at each row of control points and each column of pixels.
    spread: Vec<Aligned>,
    /// Each pixel and the one below it. A row and a column of zeros are before the picture, and at least one of each behind it.
    pairs: Vec<[u8; 2]>,
    zeros: Vec<u8>,
    block: Vec<Pixels>,
}

impl SplineWarp {
    /// For pictures of this many rows and columns, with control points every `spacing` pixels along both axes.
    ///
    /// # Panics
    /// If there are more than [`MAX_SIDE`] rows or columns, or `spacing` is not a positive number.
    pub fn new(shape: [usize; 2], spacing: f32) -> Self {
        let [rows, columns] = shape;
        assert!(rows <= MAX_SIDE && columns <= MAX_SIDE, "pictures have at most {MAX_SIDE} rows and columns");
        assert!(spacing > 0.0 && spacing < f32::INFINITY, "the spacing is a positive number");
        let (row_axis, column_axis) = (Axis::new(rows, spacing), Axis::new(columns, spacing));
        let bands: Vec<Band> = column_axis.weights.chunks(LANES).map(Band::new).collect();
        let block = bands.len() * rows.min(rows_of_block(bands.len()));
        Self {
            shape,
            points: vec![0.0; 2 * row_axis.points * column_axis.points],
            spread: vec![Aligned([0.0; LANES]); 2 * row_axis.points * bands.len()],
            pairs: vec![[0; 2]; (rows + 2) * stride(columns) + 1],
            zeros: vec![0; columns],
            block: vec![Pixels::default(); block],
            rows: row_axis,
            columns: column_axis,
            bands,
        }
    }

    /// Rows and columns of the grid of control points; that at \[i, j\] is at row (i - 1) spacing and column (j - 1) spacing.
    pub fn grid(&self) -> [usize; 2] {
        [self.rows.points, self.columns.points]
    }

    /// The mean over the pixels of the variance of their places along an axis, if that of each control point is 1 and they are
    /// independent; NaN without pixels.
    pub fn variance_factor(&self) -> f32 {
        self.rows.variance_factor() * self.columns.variance_factor()
    }

    /// The place, as row and column, that `points` take the pixel at `row` and `column` from: the sum of the control points,
    /// each times its weights along both axes. `points` as in [`SplineWarp::resample`].
    ///
    /// # Panics
    /// If `points` has another length, or the picture has no such pixel.
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

    /// Resamples `picture` to `out`, both row by row. Outside the picture all is 0.
    ///
    /// `points` is \[2, grid rows, grid columns\]: the rows, then the columns, that the control points come from, counted
    /// from the center of the first pixel. Each pixel of `out` has its place of the spline through them, rounded to 1/256
    /// of a pixel, and lies there between four pixels (bilinear interpolation); it is rounded, up from one half.
    ///
    /// Numbers that are not finite do no harm: the pixels whose places depend on them are 0 or any other.
    ///
    /// # Panics
    /// If `points`, `picture` or `out` has another length.
    pub fn resample(&mut self, points: &[f32], picture: &[u8], out: &mut [u8]) {
        let [rows, columns] = self.shape;
        assert_eq!(points.len(), self.points.len(), "control points");
        assert_eq!(picture.len(), rows * columns, "pixels of the picture");
        assert_eq!(out.len(), rows * columns, "pixels of the resampled picture");
        if !out.is_empty() {
            isa::run(Resample { warp: self, points, picture, out });
        }
    }
}

/// From a row of [`SplineWarp::pairs`] to the next: a column of zeros before the picture and at least one behind it, and a power
/// of two, since an integer multiplication has ten times the latency of a shift.
#[inline(always)]
fn stride(columns: usize) -> usize {
    (columns + 2).next_power_of_two()
}

/// How many rows of so many vectors are resampled together.
#[inline(always)]
fn rows_of_block(bands: usize) -> usize {
    (BLOCK / bands.max(1)).max(1)
}

struct Resample<'a> {
    warp: &'a mut SplineWarp,
    points: &'a [f32],
    picture: &'a [u8],
    out: &'a mut [u8],
}

impl Kernel for Resample<'_> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { warp, points, picture, out } = self;
        let columns = warp.shape[1];
        pair_rows(picture, columns, &warp.zeros, &mut warp.pairs);
        for (scaled, point) in warp.points.iter_mut().zip(points) {
            // The picture begins behind a row and a column of zeros.
            *scaled = (point + 1.0) * PIXEL as f32;
        }
        spread(&warp.points, warp.columns.points, &warp.bands, &mut warp.spread);
        let bands = warp.bands.len();
        let rows_of_block = rows_of_block(bands);
        let rows = warp.rows.weights.chunks(rows_of_block);
        for (rows, out) in rows.zip(out.chunks_mut(rows_of_block * columns)) {
            let block = &mut warp.block[..rows.len() * bands];
            locate(rows, &warp.spread, warp.shape, block);
            look_up(&warp.pairs, block);
            interpolate(block, bands, columns, out);
        }
    }
}

/// Puts each pixel and the one below it side by side.
#[inline(always)]
fn pair_rows(picture: &[u8], columns: usize, zeros: &[u8], pairs: &mut [[u8; 2]]) {
    let mut upper = &zeros[..columns];
    let rows = picture.chunks_exact(columns).chain([upper]);
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
    // By numbers of 16 bits, which the compiler makes whole vectors of.
    *pairs = std::array::from_fn(|lane| (u16::from(a[lane]) | u16::from(b[lane]) << 8).to_le_bytes());
}

/// Takes each row of control points to the columns of pixels.
#[inline(always)]
fn spread(points: &[f32], columns: usize, bands: &[Band], out: &mut [Aligned]) {
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

/// Where the pixels of some rows come from.
#[inline(always)]
fn locate(rows: &[(usize, [f32; 4])], spread: &[Aligned], shape: [usize; 2], block: &mut [Pixels]) {
    let bands = shape[1].div_ceil(LANES);
    let (along_rows, along_columns) = spread.split_at(spread.len() / 2);
    // One step outside, all is 0, wherever it is.
    let outside = shape.map(|size| (size as u32 + 1) * PIXEL);
    let shift = stride(shape[1]).trailing_zeros();
    for ((first, b), block) in rows.iter().zip(block.chunks_exact_mut(bands)) {
        let row = |k: usize| &along_rows[(first + k) * bands..][..bands];
        let column = |k: usize| &along_columns[(first + k) * bands..][..bands];
        let (r, c) = ([row(0), row(1), row(2), row(3)], [column(0), column(1), column(2), column(3)]);
        for (band, pixels) in block.iter_mut().enumerate() {
            let y = places(b, [&r[0][band].0, &r[1][band].0, &r[2][band].0, &r[3][band].0], outside[0]);
            let x = places(b, [&c[0][band].0, &c[1][band].0, &c[2][band].0, &c[3][band].0], outside[1]);
            for lane in 0..LANES {
                pixels.index[lane] = (y[lane] / PIXEL) << shift | (x[lane] / PIXEL);
                pixels.down[lane] = y[lane] % PIXEL;
                pixels.right[lane] = x[lane] % PIXEL;
            }
        }
    }
}

/// Places along an axis, as whole numbers from 0 to `outside`.
#[inline(always)]
fn places(b: &[f32; 4], p: [&Lanes<f32>; 4], outside: u32) -> Lanes<u32> {
    /// From this number to twice it, the last bit of an `f32` is 1.
    const WHOLE: f32 = 8_388_608.0;
    std::array::from_fn(|lane| {
        let place = ((b[0] * p[0][lane] + b[1] * p[1][lane]) + b[2] * p[2][lane]) + b[3] * p[3][lane];
        // What is negative, too large, or NaN has bits that are far from those of `WHOLE`.
        (place + WHOLE).to_bits().wrapping_sub(WHOLE.to_bits()).min(outside)
    })
}

/// Looks up the four pixels around each place.
#[inline(always)]
fn look_up(pairs: &[[u8; 2]], block: &mut [Pixels]) {
    // Slices of one length: one check holds for both, and the two loads become one.
    let len = pairs.len() - 1;
    let (left, right) = (&pairs[..len], &pairs[1..][..len]);
    for pixels in block {
        for (around, index) in pixels.around.iter_mut().zip(&pixels.index) {
            let ([a, b], [c, d]) = (left[*index as usize], right[*index as usize]);
            *around = u32::from_le_bytes([a, b, c, d]);
        }
    }
}

/// Interpolates the pixels of some rows.
#[inline(always)]
fn interpolate(block: &[Pixels], bands: usize, columns: usize, out: &mut [u8]) {
    for (row, block) in block.chunks_exact(bands).enumerate() {
        for (band, pixels) in block.iter().enumerate() {
            let values: Lanes<u8> = std::array::from_fn(|lane| {
                between(pixels.around[lane], pixels.down[lane], pixels.right[lane])
            });
            // What a row's last vector writes too much, the next row overwrites.
            let out = &mut out[row * columns + band * LANES..];
            if let Some(out) = out.first_chunk_mut() {
                *out = values;
            } else {
                store_part(&values, out);
            }
        }
    }
}

/// The first values, as many as `out` has. Apart, lest the compiler make one copy of any length of this and a vector's store.
#[cold]
#[inline(never)]
fn store_part(values: &Lanes<u8>, out: &mut [u8]) {
    out.copy_from_slice(&values[..out.len()]);
}

/// The value between four pixels, whose weights are whole 256ths and make 256.
#[inline(always)]
fn between(around: u32, down: u32, right: u32) -> u8 {
    // Two interpolations at once, in the halves of a number: the results are at most 255 * 256, and differences wrap around.
    let (upper, lower) = (around & 0x00ff_00ff, around >> 8 & 0x00ff_00ff);
    let both = (upper << 8).wrapping_add(lower.wrapping_sub(upper).wrapping_mul(down));
    let (a, b) = (both & 0xffff, both >> 16);
    let value = (a << 8).wrapping_add(b.wrapping_sub(a).wrapping_mul(right));
    (value.wrapping_add(0x8000) >> 16) as u8
}
