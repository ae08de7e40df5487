//! The state of a training as bytes, from which the training resumes exactly.
//!
//! The format is safetensors. It has the model's weights by name. For each weight that gradients update it has the optimizer's
//! states as `adam.momentum/dense.kernel`, the average of the weights as `average/dense.kernel` if one is kept, and the accumulated
//! gradient as `gradient/dense.kernel` between updates. Attachments of the caller are `U8` tensors of one dimension with names of the
//! caller's choice. The metadata's only entry, `training`, is JSON: the numbers of updates and batches, the learning rate, a text of
//! the caller, and a SHA-256 digest of everything else, which detects damage.

use std::collections::HashMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use ziffer_base::digest::Sha256;

use super::{AVERAGE, Training};
use crate::OneLine;
use crate::model::Model;
use crate::optimizer::Optimizer;

/// The metadata's key.
const TRAINING: &str = "training";

/// The prefix of accumulated gradients.
const GRADIENT: &str = "gradient";

/// Counts of steps must be below this number, so that they cannot overflow.
const ITERATIONS_END: u64 = 1 << 63;

/// The metadata's entry.
#[derive(Debug, Serialize, Deserialize)]
struct Metadata {
    iteration: u64,
    /// Files of older versions lack it: they have as many batches as updates, at the optimizer's rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    more: Option<More>,
    /// The text of the caller.
    text: String,
    sha256: String,
}

/// The entries of newer files.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct More {
    batches: u64,
    /// The number of batches whose gradients are accumulated since the last update.
    accumulated: u64,
    learning_rate: f64,
}

/// A training cannot resume from these bytes.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The bytes are not a safetensors file, or not a complete one.
    #[error("not a whole safetensors file")]
    Damaged(#[source] OneLine<safetensors::SafeTensorError>),
    /// The file has no state of a training.
    #[error("no \"{TRAINING}\" in its metadata: it is not the state of a training")]
    NotAState,
    /// The metadata cannot be parsed.
    #[error("the \"{TRAINING}\" in its metadata is wrong")]
    Metadata(#[source] OneLine<serde_json::Error>),
    /// The digest differs from that of the content.
    #[error("it is damaged: the digest of its content is not the recorded one")]
    Digest,
    /// The number of steps is out of range.
    #[error("it has made {0} steps, expected fewer than {ITERATIONS_END}")]
    Iteration(u64),
    /// The state belongs to another model or another optimizer.
    #[error("{}", OneLine(.0))]
    Mismatch(String),
}

ziffer_base::debug_as_message!(StateError);

/// The state of a training, parsed and checked.
#[derive(Debug)]
pub struct State<'a> {
    tensors: SafeTensors<'a>,
    metadata: Metadata,
}

impl<'a> State<'a> {
    /// Parses the bytes of [`Training::to_safetensors`].
    ///
    /// # Errors
    /// If the bytes are not such a state, or are damaged.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, StateError> {
        let damaged = |error| StateError::Damaged(OneLine(error));
        let tensors = SafeTensors::deserialize(bytes).map_err(damaged)?;
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
        let text = header.metadata().as_ref().and_then(|entries| entries.get(TRAINING));
        let metadata: Metadata = serde_json::from_str(text.ok_or(StateError::NotAState)?)
            .map_err(|error| StateError::Metadata(OneLine(error)))?;
        let mut named: Vec<_> = tensors.tensors();
        named.sort_by(|a, b| a.0.cmp(&b.0));
        let contents = named.iter().map(|(name, tensor)| (name.as_str(), tensor));
        if digest(metadata.iteration, metadata.more, &metadata.text, contents) != metadata.sha256 {
            return Err(StateError::Digest);
        }
        let batches = metadata.more.map_or(0, |more| more.batches);
        if metadata.iteration.max(batches) >= ITERATIONS_END {
            return Err(StateError::Iteration(metadata.iteration.max(batches)));
        }
        Ok(Self { tensors, metadata })
    }

    /// The text passed to [`Training::to_safetensors`].
    pub fn text(&self) -> &str {
        &self.metadata.text
    }

    /// The number of updates.
    pub fn iteration(&self) -> u64 {
        self.metadata.iteration
    }

    /// The number of batches.
    pub fn batches(&self) -> u64 {
        self.metadata.more.map_or(self.metadata.iteration, |more| more.batches)
    }

    /// The attachments passed to [`Training::to_safetensors_with`], in order of their names.
    pub fn attachments(&self) -> Vec<(String, &'a [u8])> {
        let mut attachments: Vec<_> = (self.tensors.tensors().into_iter())
            .filter(|(_, tensor)| is_attachment(tensor))
            .map(|(name, tensor)| (name, tensor.data()))
            .collect();
        attachments.sort();
        attachments
    }

    /// The bytes of the tensor with this name and shape.
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<&[u8], StateError> {
        let tensor = self.tensors.tensor(name).map_err(|_| {
            StateError::Mismatch(format!("it has no tensor {name}, expected one of shape {shape:?}"))
        })?;
        if tensor.shape() != shape || tensor.dtype() != Dtype::F32 {
            return Err(StateError::Mismatch(format!(
                "tensor {name} is {:?} of shape {:?}, expected F32 of shape {shape:?}",
                tensor.dtype(),
                tensor.shape()
            )));
        }
        Ok(tensor.data())
    }
}

fn is_attachment(tensor: &TensorView<'_>) -> bool {
    tensor.dtype() == Dtype::U8 && tensor.shape().len() == 1
}

/// The SHA-256 digest of a state, in hex. The tensors are in order of their names.
fn digest<'a>(
    iteration: u64,
    more: Option<More>,
    text: &str,
    tensors: impl Iterator<Item = (&'a str, &'a TensorView<'a>)>,
) -> String {
    let mut sha256 = Sha256::default();
    let mut part = |bytes: &[u8]| {
        sha256.update((bytes.len() as u64).to_le_bytes());
        sha256.update(bytes);
    };
    part(&iteration.to_le_bytes());
    if let Some(More { batches, accumulated, learning_rate }) = more {
        part(&batches.to_le_bytes());
        part(&accumulated.to_le_bytes());
        part(&learning_rate.to_bits().to_le_bytes());
    }
    part(text.as_bytes());
    for (name, tensor) in tensors {
        part(name.as_bytes());
        part(format!("{:?} {:?}", tensor.dtype(), tensor.shape()).as_bytes());
        part(tensor.data());
    }
    sha256.finish().to_string()
}

impl<O: Optimizer<f32>> Training<f32, O> {
    /// The blocks that are stored for each weight that gradients update, with the prefixes of their names.
    fn state_blocks(&self) -> Vec<(String, &[f32])> {
        let names =
            self.optimizer.state_names().iter().map(|slot| format!("{}.{slot}", self.optimizer.name()));
        let names = names.chain(self.inner.ema_momentum.map(|_| AVERAGE.to_owned()));
        let mut blocks: Vec<(String, &[f32])> =
            names.zip(&self.inner.state).map(|(name, block)| (name, &**block)).collect();
        if let Some(gradient) = self.inner.gradient.as_ref().filter(|_| self.inner.accumulated > 0) {
            blocks.push((GRADIENT.to_owned(), gradient));
        }
        blocks
    }

    /// The model and the state of its training as the bytes of a safetensors file, with a text of the caller.
    ///
    /// # Panics
    /// If the training was made for another model.
    pub fn to_safetensors(&self, model: &Model, text: &str) -> Vec<u8> {
        self.to_safetensors_with(model, text, &[])
    }

    /// Like [`to_safetensors`](Self::to_safetensors), with named attachments of the caller. Names with a `/` cannot collide with those
    /// of weights.
    ///
    /// # Panics
    /// If the training was made for another model, or two tensors have the same name.
    pub fn to_safetensors_with(
        &self,
        model: &Model,
        text: &str,
        attachments: &[(String, Vec<u8>)],
    ) -> Vec<u8> {
        assert!(self.inner.check_model(model).is_ok(), "the training was made for another model");
        let bytes = |numbers: &[f32]| numbers.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
        let mut tensors = Vec::new();
        for ((name, shape, range), has_state) in model.layout().iter().zip(model.have_state()) {
            for (prefix, numbers) in self.state_blocks().into_iter().filter(|_| has_state) {
                tensors.push((format!("{prefix}/{name}"), shape, bytes(&numbers[range.clone()])));
            }
            tensors.push((name.clone(), shape, bytes(&model.block()[range.clone()])));
        }
        let numbers = tensors.iter().map(|(name, shape, bytes)| {
            let view = TensorView::new(Dtype::F32, shape.to_vec(), bytes);
            (name.as_str(), view.expect("bytes that fill the shape"))
        });
        let attached = attachments.iter().map(|(name, bytes)| {
            let view = TensorView::new(Dtype::U8, vec![bytes.len()], bytes);
            (name.as_str(), view.expect("bytes that fill the shape"))
        });
        let mut views: Vec<_> = numbers.chain(attached).collect();
        views.sort_by_key(|(name, _)| *name);
        assert!(views.windows(2).all(|pair| pair[0].0 != pair[1].0), "two tensors of the same name");
        let (batches, accumulated, learning_rate) =
            (self.inner.batches, self.inner.accumulated, self.inner.learning_rate.constant);
        let more = Some(More { batches, accumulated, learning_rate });
        let contents = views.iter().map(|(name, view)| (*name, view));
        let sha256 = digest(self.inner.iteration, more, text, contents);
        let metadata = Metadata { iteration: self.inner.iteration, more, text: text.to_owned(), sha256 };
        let metadata = serde_json::to_string(&metadata).expect("numbers and texts");
        safetensors::serialize(views, Some(HashMap::from([(TRAINING.to_owned(), metadata)])))
            .expect("names and shapes that fit into a header")
    }

    /// Sets the model and its training to a state. A schedule of the learning rate does not change.
    ///
    /// # Errors
    /// If the state belongs to another model or another optimizer, or there is not enough memory. Nothing is changed then.
    pub fn restore(&mut self, model: &mut Model, state: &State<'_>) -> Result<(), StateError> {
        self.inner.check_model(model).map_err(|error| StateError::Mismatch(error.to_string()))?;
        let accumulated = state.metadata.more.map_or(0, |more| more.accumulated);
        if accumulated > 0 && accumulated >= self.inner.accumulation {
            let expected = self.inner.accumulation;
            return Err(StateError::Mismatch(format!(
                "it has {accumulated} accumulated batches, expected fewer than {expected}"
            )));
        }
        let accumulates = accumulated > 0;
        if accumulates {
            self.inner.ensure_gradient().map_err(|error| StateError::Mismatch(error.to_string()))?;
        }
        let mut prefixes: Vec<String> = self.state_blocks().into_iter().map(|(name, _)| name).collect();
        prefixes.retain(|name| name != GRADIENT);
        prefixes.extend(accumulates.then(|| GRADIENT.to_owned()));
        let read_all = || {
            let mut expected = 0;
            let mut contents = Vec::new();
            for ((name, shape, range), has_state) in self.inner.layout.iter().zip(model.have_state()) {
                let blocks = prefixes.iter().filter(|_| has_state);
                let blocks = blocks.map(|prefix| state.tensor(&format!("{prefix}/{name}"), shape));
                let blocks = blocks.collect::<Result<Vec<_>, _>>()?;
                expected += 1 + blocks.len();
                contents.push((state.tensor(name, shape)?, blocks, range.clone()));
            }
            let found = state.tensors.len() - state.attachments().len();
            if found != expected {
                return Err(StateError::Mismatch(format!("it has {found} tensors, expected {expected}")));
            }
            Ok(contents)
        };
        let contents = read_all()?;
        for (weight, saved, range) in contents {
            read(weight, &mut model.block_mut()[range.clone()]);
            let blocks =
                self.inner.state.iter_mut().chain(self.inner.gradient.as_mut().filter(|_| accumulates));
            for (content, block) in saved.into_iter().zip(blocks) {
                read(content, &mut block[range.clone()]);
            }
        }
        self.inner.iteration = state.metadata.iteration;
        self.inner.batches = state.batches();
        self.inner.accumulated = accumulated;
        if let Some(more) = state.metadata.more {
            self.inner.learning_rate.constant = more.learning_rate;
        }
        Ok(())
    }
}

fn read(bytes: &[u8], numbers: &mut [f32]) {
    for (number, bytes) in numbers.iter_mut().zip(bytes.as_chunks().0) {
        *number = f32::from_le_bytes(*bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, Adam, Sequential, Sgd, SparseCategoricalCrossentropy, WithLabels};
    use ndarray::Array2;
    use ziffer_tensor::thread_team::ThreadTeam;

    fn model() -> Model {
        Sequential::new([6]).dense(5, Activation::Relu).dense(3, Activation::Softmax).build(4).unwrap()
    }

    /// Trains on the samples `range` of a small set, in batches of 4.
    fn train<O: Optimizer<f32>>(
        training: &mut Training<f32, O>,
        model: &mut Model,
        range: std::ops::Range<u32>,
    ) {
        let x = Array2::from_shape_fn((40, 6), |(n, i)| ((n * 7 + i * 3) % 11) as f32 / 11.0);
        let classes: Vec<usize> = (0..40).map(|n| n % 3).collect();
        let samples = WithLabels::new(x.view(), &classes);
        let order: Vec<u32> = range.collect();
        let team = ThreadTeam::new(1).unwrap();
        let loss = SparseCategoricalCrossentropy::default();
        training.run(model, &loss, &samples, &order, (&team).into()).unwrap();
    }

    #[test]
    fn a_restored_training_equals_an_uninterrupted_one() {
        let mut model_a = model();
        let mut a = Training::new(&model_a, Adam::default(), 4).unwrap();
        train(&mut a, &mut model_a, 0..20);
        let bytes = a.to_safetensors(&model_a, "half");
        assert_eq!(bytes, a.to_safetensors(&model_a, "half"), "the same state, the same bytes");
        train(&mut a, &mut model_a, 20..40);

        let mut model_b =
            Sequential::new([6]).dense(5, Activation::Relu).dense(3, Activation::Softmax).build(99).unwrap();
        let mut b = Training::new(&model_b, Adam::default(), 4).unwrap();
        let state = State::parse(&bytes).unwrap();
        assert_eq!(state.text(), "half");
        b.restore(&mut model_b, &state).unwrap();
        assert_eq!(b.iteration(), 5);
        assert!(state.attachments().is_empty());
        train(&mut b, &mut model_b, 20..40);
        assert_eq!(b.to_safetensors(&model_b, ""), a.to_safetensors(&model_a, ""));
    }

    #[test]
    fn attachments_are_returned_by_name() {
        let mut model = model();
        let mut training = Training::new(&model, Adam::default(), 4).unwrap();
        let attachments =
            [("callback/b/0".to_owned(), vec![1, 2, 3]), ("callback/a/0".to_owned(), Vec::new())];
        let bytes = training.to_safetensors_with(&model, "", &attachments);
        let state = State::parse(&bytes).unwrap();
        let found: [(String, &[u8]); 2] =
            [("callback/a/0".to_owned(), &[]), ("callback/b/0".to_owned(), &[1, 2, 3])];
        assert_eq!(state.attachments(), found);
        training.restore(&mut model, &state).unwrap();
        assert_eq!(training.to_safetensors_with(&model, "", &attachments), bytes);
    }

    /// Gradients that are requested between two updates do not change the accumulated gradients.
    #[test]
    fn requested_gradients_do_not_change_accumulated_ones() {
        let run = |requests: bool| {
            let mut model = model();
            let mut training = Training::new(&model, Adam::default(), 4).unwrap().accumulation(3);
            train(&mut training, &mut model, 0..8);
            if requests {
                let x = Array2::from_elem((1, 6), 0.5_f32);
                let samples = WithLabels::new(x.view(), &[1]);
                let team = ThreadTeam::new(1).unwrap();
                let loss = SparseCategoricalCrossentropy::default();
                training.gradients(&mut model, &loss, &samples, &[0], (&team).into()).unwrap();
            }
            let bytes = training.to_safetensors(&model, "");
            let mut restored = Training::new(&model, Adam::default(), 4).unwrap().accumulation(3);
            restored.restore(&mut model, &State::parse(&bytes).unwrap()).unwrap();
            train(&mut restored, &mut model, 8..24);
            assert_eq!(restored.iteration(), 2);
            model.weights_sha256()
        };
        assert_eq!(run(true), run(false));
    }

    #[test]
    fn any_damage_is_detected() {
        let mut model = model();
        let mut training = Training::new(&model, Adam::default(), 4).unwrap();
        train(&mut training, &mut model, 0..8);
        let attachments = [("callback/early stopping/0".to_owned(), vec![7, 0, 255])];
        let bytes = training.to_safetensors_with(&model, "text", &attachments);
        for at in 0..bytes.len() {
            assert!(State::parse(&bytes[..at]).is_err(), "cut at {at}");
            for flip in [1, 0x80] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                // Damage without an effect is accepted, such as another name of an unused key. The state is then the same.
                if let Ok(state) = State::parse(&damaged) {
                    let mut other = self::model();
                    let mut restored = Training::new(&other, Adam::default(), 4).unwrap();
                    if restored.restore(&mut other, &state).is_ok() {
                        let attached: Vec<_> = state
                            .attachments()
                            .into_iter()
                            .map(|(name, bytes)| (name, bytes.to_vec()))
                            .collect();
                        let again = restored.to_safetensors_with(&other, state.text(), &attached);
                        assert_eq!(again, bytes, "bit {flip} of {at}");
                    }
                }
            }
        }
    }

    #[test]
    fn too_large_numbers_of_steps_are_rejected() {
        let model = model();
        let mut training = Training::new(&model, Adam::default(), 4).unwrap();
        for (iteration, is_valid) in [(ITERATIONS_END - 1, true), (ITERATIONS_END, false), (u64::MAX, false)]
        {
            training.inner.iteration = iteration;
            training.inner.batches = iteration;
            let bytes = training.to_safetensors(&model, "");
            assert_eq!(State::parse(&bytes).is_ok(), is_valid, "{iteration}");
        }
    }

    #[test]
    fn another_model_or_optimizer_is_rejected_and_nothing_changes() {
        let model_a = model();
        let bytes = Training::new(&model_a, Adam::default(), 4).unwrap().to_safetensors(&model_a, "");
        let state = State::parse(&bytes).unwrap();
        let reject = |mut model: Model, problem: &str| {
            let before = model.weights_sha256();
            let mut training = Training::new(&model, Adam::default(), 4).unwrap();
            let error = training.restore(&mut model, &state).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
            assert_eq!(model.weights_sha256(), before);
        };
        reject(Sequential::new([6]).dense(5, Activation::Relu).build(0).unwrap(), "expected 6");
        reject(
            Sequential::new([6]).dense(4, Activation::Relu).dense(3, Activation::Softmax).build(0).unwrap(),
            "expected F32 of shape [6, 4]",
        );
        let mut model_b = model();
        let mut sgd = Training::new(&model_b, Sgd { momentum: 0.5, ..Sgd::default() }, 4).unwrap();
        assert!(sgd.restore(&mut model_b, &state).unwrap_err().to_string().contains("sgd."));
        assert!(matches!(State::parse(&model().to_safetensors()), Err(StateError::NotAState)));
    }
}
