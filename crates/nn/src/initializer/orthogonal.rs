//! Orthonormal vectors.

use ziffer_tensor::random::Stream;
use ziffer_tensor::{Buffer, NoMemory};

/// A generator of the elements of Q \[rows, columns\], in C order.
///
/// A = Q R is the QR decomposition of a random normal matrix, with a positive diagonal of R. Keras gets the same Q by multiplying
/// each column by the sign of R's diagonal. If there are more columns than rows, Q is the transpose.
///
/// # Errors
/// [`NoMemory`].
pub(super) fn elements(
    rows: usize,
    columns: usize,
    stream: &mut Stream,
) -> Result<impl FnMut() -> f64, NoMemory> {
    let len = rows.max(columns);
    let vectors = vectors(len, rows.min(columns), stream)?;
    let mut place = 0;
    Ok(move || {
        let (row, column) = (place / columns, place % columns);
        place += 1;
        if rows >= columns { vectors[column * len + row] } else { vectors[row * len + column] }
    })
}

/// `count` orthonormal vectors of length `len`, one after the other, from random normal vectors by the modified Gram-Schmidt
/// process.
///
/// A pass subtracts from a vector its projections on the vectors before it. Cancellation enlarges the rounding errors of the first
/// pass relative to what remains; the second pass removes them.
fn vectors(len: usize, count: usize, stream: &mut Stream) -> Result<Buffer<f64>, NoMemory> {
    const PASSES: usize = 2;
    let mut vectors = Buffer::<f64>::try_zeros(len * count)?;
    for place in 0..count {
        let (before, rest) = vectors.split_at_mut(place * len);
        let vector = &mut rest[..len];
        // Repeat if nothing remains, which is very unlikely.
        loop {
            vector.iter_mut().for_each(|element| *element = stream.normal());
            for other in (0..PASSES).flat_map(|_| before.chunks_exact(len)) {
                let part = dot(other, vector);
                vector.iter_mut().zip(other).for_each(|(element, other)| *element -= part * other);
            }
            let length = dot(vector, vector).sqrt();
            if length > 0.0 {
                vector.iter_mut().for_each(|element| *element /= length);
                break;
            }
        }
    }
    Ok(vectors)
}

/// The inner product, as several sums that the compiler can vectorize.
fn dot(x: &[f64], y: &[f64]) -> f64 {
    const SUMS: usize = 8;
    let (x, x_rest) = x.as_chunks::<SUMS>();
    let (y, y_rest) = y.as_chunks::<SUMS>();
    let mut sums = [0.0; SUMS];
    for (x, y) in x.iter().zip(y) {
        for (sum, (x, y)) in sums.iter_mut().zip(x.iter().zip(y)) {
            *sum += x * y;
        }
    }
    sums.iter().sum::<f64>() + x_rest.iter().zip(y_rest).map(|(x, y)| x * y).sum::<f64>()
}
