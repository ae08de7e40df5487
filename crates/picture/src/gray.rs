//! Gray pictures of a bounded size, the input of all further steps.

use image::{DynamicImage, ImageBuffer, Pixel};

use crate::PictureError;

/// The largest number of pixels of the longer side. A digit of a fifteenth of it still has three times the size of the model's input.
const WORKING_SIDE: usize = 1024;
/// Opaque pixels have one color if their two groups of levels differ by less.
const ONE_COLOR: u32 = 64;

/// A gray picture, row by row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Gray {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) levels: Vec<u8>,
}

impl Gray {
    /// `image`, reduced to the working size by means over squares. Transparent pixels become background.
    pub(crate) fn of(image: &DynamicImage) -> Result<Self, PictureError> {
        match image {
            DynamicImage::ImageLuma8(image) => reduce(image, 1),
            DynamicImage::ImageLumaA8(image) => reduce(image, 1),
            DynamicImage::ImageRgb8(image) => reduce(image, 1),
            DynamicImage::ImageRgba8(image) => reduce(image, 1),
            DynamicImage::ImageLuma16(image) => reduce(image, 257),
            DynamicImage::ImageLumaA16(image) => reduce(image, 257),
            DynamicImage::ImageRgb16(image) => reduce(image, 257),
            DynamicImage::ImageRgba16(image) => reduce(image, 257),
            // The decoders of this crate do not make others.
            other => reduce(&other.to_rgba8(), 1),
        }
    }
}

/// [`Gray::of`] for a type of pixels. `unit` is the channel value of 1/255.
fn reduce<P>(image: &ImageBuffer<P, Vec<P::Subpixel>>, unit: u64) -> Result<Gray, PictureError>
where
    P: Pixel,
    P::Subpixel: Into<u64>,
{
    let (full_width, full_height) = (image.width() as usize, image.height() as usize);
    let factor = full_width.max(full_height).div_ceil(WORKING_SIDE).max(1);
    let (width, height) = (full_width.div_ceil(factor), full_height.div_ceil(factor));
    let (mut levels, mut alphas) = (Vec::new(), Vec::new());
    // For each square of a row: the number of its pixels, the sum of their alphas, the sum of their levels weighted by alpha.
    let mut sums = vec![[0_u64; 3]; width];
    for (row, pixels) in image.rows().enumerate() {
        for (column, pixel) in pixels.enumerate() {
            let pixel = pixel.to_luma_alpha();
            let [level, alpha]: [u64; 2] = [pixel.channels()[0].into(), pixel.channels()[1].into()];
            let sum = &mut sums[column / factor];
            *sum = [sum[0] + 1, sum[1] + alpha, sum[2] + level * alpha];
        }
        if (row + 1) % factor == 0 || row + 1 == full_height {
            for sum in &mut sums {
                let [pixels, alpha, level] = std::mem::take(sum);
                levels.push(rounded(level, alpha * unit));
                alphas.push(rounded(alpha, pixels * unit));
            }
        }
    }
    let levels = over_background(&levels, &alphas)?;
    Ok(Gray { width, height, levels })
}

/// The quotient as a byte; 0 / 0 is 0.
fn rounded(sum: u64, by: u64) -> u8 {
    u8::try_from((sum + by / 2).checked_div(by).unwrap_or(0)).unwrap_or(255)
}

/// The levels on an opaque background. If all opaque pixels have one color, they are the foreground, and the background is the
/// opposite, so that both black and white strokes may be drawn on a transparent background. Otherwise the picture has a background,
/// whose level is the more frequent of two.
fn over_background(levels: &[u8], alphas: &[u8]) -> Result<Vec<u8>, PictureError> {
    if alphas.iter().all(|&alpha| alpha == 255) {
        return Ok(levels.to_vec());
    }
    let mut histogram = [0_u64; 256];
    for (&level, &alpha) in levels.iter().zip(alphas) {
        histogram[usize::from(level)] += u64::from(alpha);
    }
    let background = u32::from(background_level(&histogram).ok_or(PictureError::EmptyPage)?);
    let over = |(&level, &alpha): (&u8, &u8)| {
        let (level, alpha) = (u32::from(level), u32::from(alpha));
        ((level * alpha + background * (255 - alpha) + 127) / 255) as u8
    };
    Ok(levels.iter().zip(alphas).map(over).collect())
}

/// The background's level, given the histogram of opaque levels; `None` if no pixel is opaque. The two groups of levels are those of
/// Otsu, "A Threshold Selection Method from Gray-Level Histograms", 1979.
fn background_level(histogram: &[u64; 256]) -> Option<u8> {
    let total: u64 = histogram.iter().sum();
    let moment =
        |range: std::ops::Range<usize>| -> u64 { range.map(|level| level as u64 * histogram[level]).sum() };
    if total == 0 {
        return None;
    }
    let all = moment(0..256);
    let mean = all / total;
    let opposite = if mean < 128 { 255 } else { 0 };
    let (mut below, mut below_moment) = (0, 0);
    // The variance between the groups, the first level of the upper one, the difference of the means.
    let mut best = (0.0, 0, 0.0);
    for split in 1..256 {
        below += histogram[split - 1];
        below_moment += (split as u64 - 1) * histogram[split - 1];
        let above = total - below;
        if below == 0 || above == 0 {
            continue;
        }
        let difference = (all - below_moment) as f64 / above as f64 - below_moment as f64 / below as f64;
        let variance = below as f64 * above as f64 * difference * difference;
        if variance > best.0 {
            best = (variance, split, difference);
        }
    }
    let (_, split, difference) = best;
    if difference < f64::from(ONE_COLOR) {
        return Some(opposite);
    }
    let lower: u64 = histogram[..split].iter().sum();
    let range = if 2 * lower > total { 0..split } else { split..256 };
    range.max_by_key(|&level| histogram[level]).map(|level| level as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GrayImage, ImageBuffer, Luma, LumaA, RgbImage, RgbaImage};

    #[test]
    fn large_pictures_become_means_over_squares() {
        // 1,500 x 3 pixels in squares of 2 x 2, of which the last row has half.
        let image = GrayImage::from_fn(1500, 3, |x, y| Luma([(x % 2 * 100 + y * 20) as u8]));
        let gray = Gray::of(&DynamicImage::ImageLuma8(image)).unwrap();
        assert_eq!((gray.width, gray.height), (750, 2));
        assert!(gray.levels[..750].iter().all(|level| *level == 60), "0, 100, 20 and 120");
        assert!(gray.levels[750..].iter().all(|level| *level == 90), "40 and 140");
    }

    #[test]
    fn colors_and_bit_depths() {
        let levels = |image: DynamicImage| Gray::of(&image).unwrap().levels;
        let red = RgbImage::from_pixel(1, 1, image::Rgb([255, 0, 0]));
        assert_eq!(levels(DynamicImage::ImageRgb8(red)), [54], "0.2126 of 255, by BT.709");
        let deep = |level: u16| ImageBuffer::<Luma<u16>, _>::from_pixel(1, 1, Luma([level]));
        for (level, expected) in [(0, 0), (128, 0), (129, 1), (257, 1), (65_535, 255)] {
            assert_eq!(levels(DynamicImage::ImageLuma16(deep(level))), [expected]);
        }
    }

    /// Strokes on a transparent background, and opaque pages with a transparent rim.
    #[test]
    fn transparent_pixels_are_background() {
        for (stroke, page) in [(0, 255), (255, 0), (90, 255), (200, 0)] {
            let image =
                ImageBuffer::from_vec(4, 1, vec![stroke, 255, stroke, 0, 17, 0, stroke, 255]).unwrap();
            let image: ImageBuffer<LumaA<u8>, _> = image;
            let gray = Gray::of(&DynamicImage::ImageLumaA8(image)).unwrap();
            assert_eq!(gray.levels, [stroke, page, page, stroke]);
        }
        for (stroke, page) in [(0, 255), (255, 0), (40, 200)] {
            let [i, p, rim] =
                [[stroke, stroke, stroke, 255], [page, page, page, 255], [stroke, stroke, stroke, 0]];
            let image = RgbaImage::from_vec(6, 1, [rim, p, p, i, p, rim].concat()).unwrap();
            let gray = Gray::of(&DynamicImage::ImageRgba8(image)).unwrap();
            assert_eq!(gray.levels, [page, page, page, stroke, page, page]);
        }
        let nothing = DynamicImage::ImageRgba8(RgbaImage::new(5, 5));
        assert!(matches!(Gray::of(&nothing), Err(PictureError::EmptyPage)));
    }
}
