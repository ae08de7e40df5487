//! A data set with many changed copies of each picture, as files.

use std::io::ErrorKind;
use std::ops::Range;
use std::path::Path;

use crate::catalog::{Content, Name, Split};
use crate::dataset::Dataset;
use crate::idx::{ElementType, IdxError, IdxWriter};
use crate::train_test::TrainTest;
use rayon::prelude::*;
use ziffer_tensor::random::{Purpose, Stream};

use super::distortion::{Distorter, Distortion};
use super::error::AugmentError;

/// Pictures that are changed and then written at once: a few megabytes, and enough to share out.
const STRETCH: usize = 4096;

/// What a data set becomes.
///
/// The first copy of a picture is the picture itself. The training part has, for the pictures before the split, all first
/// copies in the order of the set, then all second copies, and so on; behind them the same of the pictures after the split.
/// So a validation part of that share at the end consists of copies of pictures that no training picture is a copy of.
/// The test part stays as it is.
///
/// | setting | meaning | default |
/// |---|---|---|
/// | times | copies of each picture, the picture itself included; at least 1 | - |
/// | seed | what the changes are drawn from | 0 |
/// | validation_split | the share at the end that is kept apart, 0 to below 1 | 0.1 |
/// | distortion | how far pictures are changed | [`Distortion::default`] |
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Augmentation {
    /// Copies of each picture, the picture itself included.
    pub times: usize,
    /// What the changes are drawn from.
    pub seed: u64,
    /// The share at the end that is kept apart.
    pub validation_split: f64,
    /// How far pictures are changed.
    pub distortion: Distortion,
}

/// How far it is, and whether to go on.
pub type AugmentProgress<'a> = dyn FnMut(u64, u64) -> bool + 'a;

impl Augmentation {
    /// So many copies, with the other settings' defaults.
    pub fn new(times: usize) -> Self {
        Self { times, seed: 0, validation_split: 0.1, distortion: Distortion::default() }
    }

    /// Writes the set into `folder`, which must exist, as four IDX files under MNIST's names: a custom set. Parallel over
    /// rayon's threads; memory does not grow with the number of copies. The files get their names when all are written.
    ///
    /// `progress` is called every few thousand pictures with how many are done, of how many; if it returns false, that is
    /// the end.
    ///
    /// # Errors
    /// A setting out of its range, pictures that have not rows and columns, more pictures than the format can count, a file
    /// that cannot be written, or [`AugmentError::Interrupted`]. Nothing is left behind then.
    pub fn write(
        &self,
        data: &TrainTest,
        folder: &Path,
        progress: &mut AugmentProgress<'_>,
    ) -> Result<(), AugmentError> {
        let setting = |setting, value: String, expected| AugmentError::Setting { setting, value, expected };
        if self.times == 0 {
            return Err(setting("times", self.times.to_string(), "at least 1"));
        }
        if !(0.0..1.0).contains(&self.validation_split) {
            let value = self.validation_split.to_string();
            return Err(setting("validation_split", value, "a number from 0 to below 1"));
        }
        let train = &data.train;
        let shape = match *train.image_shape() {
            [rows, columns] => [rows, columns],
            ref shape => {
                let path = train.images_path().to_owned();
                return Err(AugmentError::NotFlat { path, shape: shape.to_vec() });
            }
        };
        let distorter = Distorter::new(self.distortion, shape)?;

        let pictures = train.len().saturating_mul(self.times);
        let classes = train.classes();
        let mut images = images(folder, Split::Train, pictures, shape)?;
        let mut labels = labels(folder, Split::Train, pictures, classes)?;
        let apart = (train.len() as f64 * (1.0 - self.validation_split)).floor() as usize;
        let all = pictures as u64;
        let mut done = 0;
        for part in [0..apart, apart..train.len()] {
            for copy in 0..self.times {
                for stretch in stretches(part.clone()) {
                    if !progress(done, all) {
                        return Err(AugmentError::Interrupted { done, all });
                    }
                    done += stretch.len() as u64;
                    images.write(&self.copies(train, &distorter, copy, stretch.clone()))?;
                    labels.write(&label_bytes(train, stretch))?;
                }
            }
        }
        train.check_unchanged()?;

        let test = &data.test;
        let mut test_images = self::images(folder, Split::Test, test.len(), shape)?;
        let mut test_labels = self::labels(folder, Split::Test, test.len(), classes)?;
        test_images.write(test.pixels())?;
        test_labels.write(&label_bytes(test, 0..test.len()))?;
        test.check_unchanged()?;
        progress(all, all);
        let files = [images, test_images, test_labels, labels];
        for file in &files {
            file.sync()?;
        }
        // A set that is replaced must at no moment be half this and half that: without labels it is none.
        clear(folder)?;
        for file in files {
            file.finish()?;
        }
        Ok(())
    }

    /// One copy of each picture of a stretch.
    fn copies(&self, data: &Dataset, distorter: &Distorter, copy: usize, stretch: Range<usize>) -> Vec<u8> {
        let features = data.features();
        let of_set = &data.pixels()[stretch.start * features..stretch.end * features];
        if copy == 0 {
            return of_set.to_vec();
        }
        let mut pixels = vec![0; of_set.len()];
        let pairs = pixels.par_chunks_exact_mut(features).zip(of_set.par_chunks_exact(features));
        pairs.zip(stretch).for_each_init(
            || distorter.clone(),
            |distorter, ((out, picture), number)| {
                let position = (copy as u64) << 32 | number as u64;
                distorter.distort(&mut Stream::new(self.seed, Purpose::Augment, position), picture, out);
            },
        );
        pixels
    }
}

fn stretches(part: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let end = part.end;
    part.step_by(STRETCH).map(move |start| start..end.min(start + STRETCH))
}

/// Labels as they stand in a file: bytes, or big-endian `i32` for more classes than a byte has.
fn label_bytes(data: &Dataset, range: Range<usize>) -> Vec<u8> {
    let labels = range.map(|index| data.label(index));
    if data.classes() <= 256 {
        labels.map(|label| label as u8).collect()
    } else {
        labels.flat_map(|label| (label as i32).to_be_bytes()).collect()
    }
}

fn images(
    folder: &Path,
    split: Split,
    count: usize,
    [rows, columns]: [usize; 2],
) -> Result<IdxWriter, AugmentError> {
    let path = folder.join(name(split, Content::Images));
    Ok(IdxWriter::create(path, ElementType::U8, &[count, rows, columns])?)
}

fn labels(folder: &Path, split: Split, count: usize, classes: usize) -> Result<IdxWriter, AugmentError> {
    let element_type = if classes <= 256 { ElementType::U8 } else { ElementType::I32 };
    Ok(IdxWriter::create(folder.join(name(split, Content::Labels)), element_type, &[count])?)
}

/// Removes the labels of a set that is there, and its archives, which would stay behind.
fn clear(folder: &Path) -> Result<(), IdxError> {
    for file in Name::Custom.files() {
        let path = folder.join(file.name);
        let archive = path.with_added_extension("gz");
        for path in [Some(archive), (file.content == Content::Labels).then_some(path)].into_iter().flatten() {
            match std::fs::remove_file(&path) {
                Err(source) if source.kind() != ErrorKind::NotFound => {
                    return Err(IdxError::Io { action: "replace", path, source });
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// The name of a custom set's file.
fn name(split: Split, content: Content) -> &'static str {
    let files = Name::Custom.files();
    files.iter().find(|file| file.split == split && file.content == content).map_or("", |file| file.name)
}
