//! Prints a seven and three distorted copies side by side.
#![allow(clippy::print_stdout, reason = "an example prints")]

use ziffer_dataset::augment::{AugmentError, Distorter, Distortion};
use ziffer_tensor::random::{Purpose, Stream};

const SIZE: usize = 28;

fn main() -> Result<(), AugmentError> {
    let is_foreground = |row: usize, column: usize| {
        let bar = (6..9).contains(&row) && (7..21).contains(&column);
        let leg = (9..22).contains(&row) && (20 - (row - 9) / 2).abs_diff(column) < 2;
        bar || leg
    };
    let seven: Vec<u8> =
        (0..SIZE * SIZE).map(|i| if is_foreground(i / SIZE, i % SIZE) { 255 } else { 0 }).collect();
    let mut distorter = Distorter::new(Distortion::default(), [SIZE, SIZE])?;
    let mut images = vec![seven.clone()];
    for copy in 0..3 {
        let mut distorted = vec![0; SIZE * SIZE];
        distorter.distort(&mut Stream::new(0, Purpose::Augment, copy), &seven, &mut distorted);
        images.push(distorted);
    }
    for row in 0..SIZE {
        let line = |image: &Vec<u8>| -> String {
            let pixels = &image[row * SIZE..][..SIZE];
            pixels.iter().map(|pixel| [' ', '.', 'o', '#'][usize::from(pixel / 64)]).collect()
        };
        println!("{}", images.iter().map(line).collect::<Vec<_>>().join(" ").trim_end());
    }
    Ok(())
}
