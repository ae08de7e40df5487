//! The settings and the model of the digest tests.

use ziffer_nn::optimizer::Clip;
use ziffer_nn::{Activation, Adam, AnyOptimizer, Lion, Model, Nadam, RmsProp, Sequential, Sgd, Training};

pub(crate) const THREADS: [usize; 5] = [1, 2, 3, 4, 8];
pub(crate) const SAMPLES: usize = 100;
/// The last batch is smaller.
pub(crate) const BATCH: usize = 16;
pub(crate) const FEATURES: usize = 30;
pub(crate) const CLASSES: usize = 5;

/// The settings of a training.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) optimizer: AnyOptimizer,
    pub(crate) clip: Option<Clip>,
    pub(crate) accumulation: u64,
    pub(crate) ema: Option<f64>,
    pub(crate) pixels: bool,
}

pub(crate) fn optimizers() -> [AnyOptimizer; 5] {
    let adam = Adam { learning_rate: 0.01, ..Adam::default() };
    let sgd = Sgd { learning_rate: 0.05, momentum: 0.9, nesterov: true, weight_decay: 0.1 };
    let rmsprop = RmsProp { learning_rate: 0.002, momentum: 0.5, centered: true, ..RmsProp::default() };
    let nadam = Nadam { learning_rate: 0.01, weight_decay: 0.1, ..Nadam::default() };
    let lion = Lion { learning_rate: 0.002, ..Lion::default() };
    [adam.into(), sgd.into(), rmsprop.into(), nadam.into(), lion.into()]
}

pub(crate) const CLIPS: [Option<Clip>; 4] =
    [None, Some(Clip::Value(0.01)), Some(Clip::Norm(0.05)), Some(Clip::GlobalNorm(0.1))];

/// Every kind of clipping with every optimizer, with and without accumulation and average, for pixels and for numbers.
pub(crate) fn all_settings() -> Vec<Settings> {
    let mut all = Vec::new();
    for (o, optimizer) in optimizers().into_iter().enumerate() {
        for (c, clip) in CLIPS.into_iter().enumerate() {
            for pixels in [true, false] {
                let accumulation = if (o + c) % 2 == 0 { 3 } else { 1 };
                let ema = (c < 3).then_some(0.9);
                all.push(Settings { optimizer, clip, accumulation, ema, pixels });
            }
        }
    }
    // The fused step, whose first layer is divided by outputs, with and without an average.
    let optimizer = optimizers()[0];
    all.push(Settings { optimizer, clip: None, accumulation: 1, ema: Some(0.99), pixels: true });
    all.push(Settings { optimizer, clip: None, accumulation: 1, ema: None, pixels: true });
    all
}

/// A model with enough outputs for eight threads, and with more elements in the second kernel than in a chunk of a norm.
pub(crate) fn model(pixels: bool) -> Model {
    let stack = Sequential::new([FEATURES]);
    // The first layer is a Dense for pixels, and a layer that is parallel over channels for numbers.
    let stack = if pixels {
        stack.rescaling(1.0 / 255.0, 0.0).dense(130, Activation::Relu).batch_normalization()
    } else {
        stack.rescaling(0.5, 0.25).batch_normalization().dense(130, Activation::Tanh)
    };
    stack
        .dropout(0.3)
        .gaussian_noise(0.05)
        .dense(35, Activation::Gelu)
        .activation(Activation::Mish)
        .batch_normalization()
        .dropout(0.1)
        .dense(CLASSES, Activation::Softmax)
        .build(11)
        .unwrap()
}

pub(crate) fn training(model: &Model, settings: &Settings) -> Training<f32, AnyOptimizer> {
    Training::new(model, settings.optimizer, BATCH)
        .unwrap()
        .seed(5)
        .clip(settings.clip)
        .accumulation(settings.accumulation)
        .ema(settings.ema)
        .unwrap()
}

/// Two passes over the samples, the second in reverse order.
pub(crate) fn order() -> Vec<u32> {
    let samples = SAMPLES as u32;
    (0..samples).chain((0..samples).rev()).collect()
}
