//! Grey pictures of a bounded size: the one that all further steps look at.

use image::{DynamicImage, ImageBuffer, Pixel};

use crate::PictureError;

/// Pixels of the longer side that are looked at. A digit of a fifteenth of it is three times as large as the network sees it.
const WORKING_SIDE: usize = 1024;
/// Tones of opaque pixels that lie closer than this are one colour.
const ONE_COLOUR: u32 = 64;

/// A grey picture, row by row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Grey {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) tones: Vec<u8>,
}

impl Grey {
    /// Means over squares of `image`, as small as the working size allows. What is transparent shows the paper.
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
            // None that the decoders of this crate make.
            other => reduce(&other.to_rgba8(), 1),
        }
    }
}

/// As [`Grey::of`]; `unit` is what stands for 1 of 255 in a channel.
fn reduce<P>(image: &ImageBuffer<P, Vec<P::Subpixel>>, unit: u64) -> Result<Grey, PictureError>
where
    P: Pixel,
    P::Subpixel: Into<u64>,
{
    let (full_width, full_height) = (image.width() as usize, image.height() as usize);
    let factor = full_width.max(full_height).div_ceil(WORKING_SIDE).max(1);
    let (width, height) = (full_width.div_ceil(factor), full_height.div_ceil(factor));
    let (mut tones, mut alphas) = (Vec::new(), Vec::new());
    // For each square of a row: its pixels, their alphas, and their tones weighted by alpha.
    let mut sums = vec![[0_u64; 3]; width];
    for (row, pixels) in image.rows().enumerate() {
        for (column, pixel) in pixels.enumerate() {
            let pixel = pixel.to_luma_alpha();
            let [tone, alpha]: [u64; 2] = [pixel.channels()[0].into(), pixel.channels()[1].into()];
            let sum = &mut sums[column / factor];
            *sum = [sum[0] + 1, sum[1] + alpha, sum[2] + tone * alpha];
        }
        if (row + 1) % factor == 0 || row + 1 == full_height {
            for sum in &mut sums {
                let [pixels, alpha, tone] = std::mem::take(sum);
                tones.push(rounded(tone, alpha * unit));
                alphas.push(rounded(alpha, pixels * unit));
            }
        }
    }
    let tones = over_paper(&tones, &alphas)?;
    Ok(Grey { width, height, tones })
}

/// The quotient as a byte; 0 by 0 is 0.
fn rounded(sum: u64, by: u64) -> u8 {
    u8::try_from((sum + by / 2).checked_div(by).unwrap_or(0)).unwrap_or(255)
}

/// The tones as they look on paper. If all that is opaque has one colour, it is the ink, and the paper the opposite: white
/// ink is drawn on nothing as well as black one. Else the paper is there already, and has the commoner of two tones.
fn over_paper(tones: &[u8], alphas: &[u8]) -> Result<Vec<u8>, PictureError> {
    if alphas.iter().all(|&alpha| alpha == 255) {
        return Ok(tones.to_vec());
    }
    let mut histogram = [0_u64; 256];
    for (&tone, &alpha) in tones.iter().zip(alphas) {
        histogram[usize::from(tone)] += u64::from(alpha);
    }
    let paper = u32::from(paper_tone(&histogram).ok_or(PictureError::EmptyPage)?);
    let over = |(&tone, &alpha): (&u8, &u8)| {
        let (tone, alpha) = (u32::from(tone), u32::from(alpha));
        ((tone * alpha + paper * (255 - alpha) + 127) / 255) as u8
    };
    Ok(tones.iter().zip(alphas).map(over).collect())
}

/// The tone of the paper by the weights of the opaque tones; none if nothing is opaque. The two groups of tones are those of
/// Otsu, "A Threshold Selection Method from Gray-Level Histograms", 1979.
fn paper_tone(histogram: &[u64; 256]) -> Option<u8> {
    let total: u64 = histogram.iter().sum();
    let moment =
        |range: std::ops::Range<usize>| -> u64 { range.map(|tone| tone as u64 * histogram[tone]).sum() };
    if total == 0 {
        return None;
    }
    let all = moment(0..256);
    let mean = all / total;
    let opposite = if mean < 128 { 255 } else { 0 };
    let (mut below, mut below_moment) = (0, 0);
    // Variance between the groups, the first tone of the upper one, the difference of the means.
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
    if difference < f64::from(ONE_COLOUR) {
        return Some(opposite);
    }
    let lower: u64 = histogram[..split].iter().sum();
    let range = if 2 * lower > total { 0..split } else { split..256 };
    range.max_by_key(|&tone| histogram[tone]).map(|tone| tone as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GrayImage, ImageBuffer, Luma, LumaA, RgbImage, RgbaImage};

    #[test]
    fn large_pictures_become_means_over_squares() {
        // 1,500 x 3 pixels in squares of 2x2: the last row has but one row of its own.
        let image = GrayImage::from_fn(1500, 3, |x, y| Luma([(x % 2 * 100 + y * 20) as u8]));
        let grey = Grey::of(&DynamicImage::ImageLuma8(image)).unwrap();
        assert_eq!((grey.width, grey.height), (750, 2));
        assert!(grey.tones[..750].iter().all(|tone| *tone == 60), "0, 100, 20 and 120");
        assert!(grey.tones[750..].iter().all(|tone| *tone == 90), "40 and 140");
    }

    #[test]
    fn colours_and_depths() {
        let tones = |image: DynamicImage| Grey::of(&image).unwrap().tones;
        let red = RgbImage::from_pixel(1, 1, image::Rgb([255, 0, 0]));
        assert_eq!(tones(DynamicImage::ImageRgb8(red)), [54], "0.2126 of 255, by BT.709");
        let deep = |tone: u16| ImageBuffer::<Luma<u16>, _>::from_pixel(1, 1, Luma([tone]));
        for (tone, expected) in [(0, 0), (128, 0), (129, 1), (257, 1), (65_535, 255)] {
            assert_eq!(tones(DynamicImage::ImageLuma16(deep(tone))), [expected]);
        }
    }

    /// White ink and black ink on nothing; a black and a white sheet with a transparent rim.
    #[test]
    fn what_is_transparent_is_paper() {
        for (ink, paper) in [(0, 255), (255, 0), (90, 255), (200, 0)] {
            let image = ImageBuffer::from_vec(4, 1, vec![ink, 255, ink, 0, 17, 0, ink, 255]).unwrap();
            let image: ImageBuffer<LumaA<u8>, _> = image;
            let grey = Grey::of(&DynamicImage::ImageLumaA8(image)).unwrap();
            assert_eq!(grey.tones, [ink, paper, paper, ink]);
        }
        for (ink, paper) in [(0, 255), (255, 0), (40, 200)] {
            let [i, p, rim] = [[ink, ink, ink, 255], [paper, paper, paper, 255], [ink, ink, ink, 0]];
            let image = RgbaImage::from_vec(6, 1, [rim, p, p, i, p, rim].concat()).unwrap();
            let grey = Grey::of(&DynamicImage::ImageRgba8(image)).unwrap();
            assert_eq!(grey.tones, [paper, paper, paper, ink, paper, paper]);
        }
        let nothing = DynamicImage::ImageRgba8(RgbaImage::new(5, 5));
        assert!(matches!(Grey::of(&nothing), Err(PictureError::EmptyPage)));
    }
}
