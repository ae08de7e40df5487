//! A seven and three changed copies of it, side by side.
#![allow(clippy::print_stdout, reason = "an example shows")]

use ziffer_dataset::augment::{AugmentError, Distorter, Distortion};
use ziffer_tensor::random::{Purpose, Stream};

const SIZE: usize = 28;

fn main() -> Result<(), AugmentError> {
    let is_ink = |row: usize, column: usize| {
        let bar = (6..9).contains(&row) && (7..21).contains(&column);
        let leg = (9..22).contains(&row) && (20 - (row - 9) / 2).abs_diff(column) < 2;
        bar || leg
    };
    let seven: Vec<u8> = (0..SIZE * SIZE).map(|i| if is_ink(i / SIZE, i % SIZE) { 255 } else { 0 }).collect();
    let mut distorter = Distorter::new(Distortion::default(), [SIZE, SIZE])?;
    let mut pictures = vec![seven.clone()];
    for copy in 0..3 {
        let mut changed = vec![0; SIZE * SIZE];
        distorter.distort(&mut Stream::new(0, Purpose::Augment, copy), &seven, &mut changed);
        pictures.push(changed);
    }
    for row in 0..SIZE {
        let line = |picture: &Vec<u8>| -> String {
            let pixels = &picture[row * SIZE..][..SIZE];
            pixels.iter().map(|pixel| [' ', '.', 'o', '#'][usize::from(pixel / 64)]).collect()
        };
        println!("{}", pictures.iter().map(line).collect::<Vec<_>>().join(" ").trim_end());
    }
    Ok(())
}
