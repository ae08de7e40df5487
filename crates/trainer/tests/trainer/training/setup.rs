//! A small data set, a network and a trainer.

use ndarray::Array3;
use ziffer_dataset::{Dataset, idx::write_idx};
use ziffer_nn::random::{Purpose, Stream};
use ziffer_nn::{Activation, Adam, Model, Sequential, SparseCategoricalCrossentropy};
use ziffer_trainer::Trainer;

/// 100 images of 3 x 5 pixels in 4 classes, and the folder of their files.
pub(crate) fn images_and_labels() -> (tempfile::TempDir, Dataset) {
    let folder = tempfile::tempdir().unwrap();
    let (images, labels) = (folder.path().join("images"), folder.path().join("labels"));
    let mut stream = Stream::new(11, Purpose::Other(0), 0);
    let classes: Vec<u8> = (0..100).map(|_| stream.below(4) as u8).collect();
    let pixels = Array3::from_shape_fn((100, 3, 5), |(n, row, column)| {
        let nonzero = (row + column + usize::from(classes[n])).is_multiple_of(4);
        if nonzero { 100 + stream.below(156) as u8 } else { stream.below(2) as u8 * stream.below(90) as u8 }
    });
    write_idx(&images, &pixels).unwrap();
    write_idx(&labels, &ndarray::Array1::from(classes)).unwrap();
    let data = Dataset::open(&images, &labels, None).unwrap();
    (folder, data)
}

pub(crate) fn network() -> Model {
    Sequential::new([3, 5])
        .flatten()
        .dense(13, Activation::Relu)
        .dense(4, Activation::Softmax)
        .build(1)
        .unwrap()
}

pub(crate) fn trainer<'a>() -> Trainer<'a, Adam, SparseCategoricalCrossentropy> {
    let adam = Adam { learning_rate: 0.01, ..Adam::default() };
    Trainer::new(adam, SparseCategoricalCrossentropy::default())
        .epochs(4)
        .batch_size(7)
        .validation_split(0.2)
        .threads(1)
}
