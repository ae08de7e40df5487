//! Training states, and runs that resume from them.

use std::fs;
use std::num::NonZero;
use std::path::Path;
use std::sync::LazyLock;

use ndarray::aview2;
use safetensors::SafeTensors;
use serde_json::Value;
use ziffer_base::digest::Sha256;
use ziffer_nn::thread_team::ThreadTeam;
use ziffer_nn::training::State;
use ziffer_nn::{Activation, Adam, Model, Sequential, SparseCategoricalCrossentropy, Training, WithLabels};
use ziffer_trainer::callback::{EarlyStopping, ModelCheckpoint, Monitor, ReduceLROnPlateau};
use ziffer_trainer::{CheckpointInterval, Checkpoints, History, TrainError, Trainer};

use super::framed::framed;
use super::{check_line, write};

/// The epochs of a run, with three steps each.
const EPOCHS: usize = 3;
const BATCH_SIZE: usize = 2;
const X: &[[f32; 2]] = &[[0.0, 1.0], [0.5, 0.0], [1.0, 1.0], [0.0, 0.2], [0.7, 0.3]];
const CLASSES: &[usize] = &[0, 1, 0, 1, 1];

/// Checks a training state. Restoring an accepted state restores every tensor, and saving it gives the same state. A rejected
/// state changes nothing. A run that resumes from it ends, with or without an error. The check is repeated with the lengths and
/// the digest corrected.
pub fn checkpoint(folder: &Path, bytes: &[u8]) -> bool {
    let accepted = check(folder, bytes);
    let repaired = framed(bytes).map(with_digest);
    repaired.is_some_and(|repaired| repaired != bytes && check(folder, &repaired)) || accepted
}

fn check(folder: &Path, bytes: &[u8]) -> bool {
    let state = match State::parse(bytes) {
        Ok(state) => state,
        Err(error) => {
            check_line(&error);
            return false;
        }
    };
    let accepted = check_state(&state, bytes);
    resume(folder, bytes);
    accepted
}

fn check_state(state: &State<'_>, bytes: &[u8]) -> bool {
    let (mut model, mut training) = fresh();
    let before = training.to_safetensors(&model, "");
    if let Err(error) = training.restore(&mut model, state) {
        check_line(&error);
        assert_eq!(training.to_safetensors(&model, ""), before);
        return false;
    }
    let attachments: Vec<_> =
        state.attachments().into_iter().map(|(name, bytes)| (name, bytes.to_vec())).collect();
    let saved = training.to_safetensors_with(&model, state.text(), &attachments);
    let read = |bytes| SafeTensors::deserialize(bytes).expect("a whole file");
    let (ours, theirs) = (read(saved.as_slice()), read(bytes));
    assert_eq!(ours.len(), theirs.len());
    for (name, tensor) in ours.tensors() {
        assert_eq!(theirs.tensor(&name).expect("a tensor of each name"), tensor, "{name}");
    }
    let saved_state = State::parse(&saved).expect("a saved state");
    assert_eq!((saved_state.iteration(), saved_state.text()), (state.iteration(), state.text()));
    let (mut other_model, mut other) = fresh();
    other.restore(&mut other_model, &saved_state).expect("a saved state");
    assert_eq!(other.to_safetensors_with(&other_model, state.text(), &attachments), saved);

    // Training continues unless the loss is not finite.
    static TEAM: LazyLock<ThreadTeam> = LazyLock::new(|| ThreadTeam::new(1).expect("a thread"));
    let loss = SparseCategoricalCrossentropy::default();
    let threads = (&*TEAM).into();
    if training.run(&mut model, &loss, &samples(), &[0, 1], threads).is_ok() {
        assert_eq!(training.iteration(), state.iteration() + 1);
    }
    true
}

/// Trains the network of the checks, also to create the corpus's seeds. A checkpoint stores all settings except the epochs.
pub fn train(folder: &Path, epochs: usize, interval: CheckpointInterval) -> Result<History, TrainError> {
    let stopping = EarlyStopping::new(Monitor::ValLoss, 100);
    let best = ModelCheckpoint::new(folder.join("best.safetensors")).monitor(Monitor::Accuracy);
    let best = best.save_best_only(true);
    Trainer::new(Adam::default(), SparseCategoricalCrossentropy::default())
        .epochs(epochs)
        .batch_size(BATCH_SIZE)
        .threads(1)
        .callback(stopping)
        .callback(best)
        .callback(ReduceLROnPlateau::new(Monitor::Loss))
        .checkpoints(Checkpoints::new(folder).every(interval).resume(true))
        .validation_data(&samples())
        .fit(&mut fresh().0, &samples())
}

fn resume(folder: &Path, bytes: &[u8]) {
    let folder = folder.join("run");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).expect("a folder that can be written");
    write(&folder, "checkpoint-000001.safetensors", bytes);
    match train(&folder, EPOCHS, CheckpointInterval::Epochs(NonZero::<usize>::MAX)) {
        Ok(history) => {
            let History { loss, accuracy, val_loss, val_accuracy, seconds, learning_rate } = &history;
            assert!(history.epochs() <= EPOCHS);
            for list in [loss, accuracy, val_loss, val_accuracy, seconds, learning_rate] {
                assert_eq!(list.len(), history.epochs());
            }
            assert!(accuracy.iter().chain(val_accuracy).all(|value| (0.0..=1.0).contains(value)));
        }
        Err(error) => drop(check_line(&error)),
    }
}

fn fresh() -> (Model, Training<f32, Adam>) {
    let stack = Sequential::new([2]).dense(2, Activation::Relu).dense(2, Activation::Softmax);
    let model = stack.build(1).expect("layers that fit");
    let training = Training::new(&model, Adam::default(), BATCH_SIZE).expect("memory for a few numbers");
    (model, training)
}

fn samples() -> WithLabels<'static, f32> {
    WithLabels::new(aview2(X), CLASSES)
}

/// The bytes with the digest of their content in place of the stored one, if they have one.
fn with_digest(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some((stored, computed)) = digests(&bytes)
        && let Some(at) = bytes.windows(stored.len()).position(|window| window == stored.as_bytes())
    {
        bytes[at..at + computed.len()].copy_from_slice(computed.as_bytes());
    }
    bytes
}

/// The stored digest of a state, if it has the length of one, and the digest of its content.
fn digests(bytes: &[u8]) -> Option<(String, String)> {
    let tensors = SafeTensors::deserialize(bytes).ok()?;
    let (_, header) = SafeTensors::read_metadata(bytes).ok()?;
    let training: Value = serde_json::from_str(header.metadata().as_ref()?.get("training")?).ok()?;
    let stored = training["sha256"].as_str().filter(|text| text.len() == 64)?;

    let mut sha256 = Sha256::default();
    let mut update = |bytes: &[u8]| {
        sha256.update((bytes.len() as u64).to_le_bytes());
        sha256.update(bytes);
    };
    update(&training["iteration"].as_u64()?.to_le_bytes());
    update(training["text"].as_str()?.as_bytes());
    let mut named = tensors.tensors();
    named.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, tensor) in named {
        update(name.as_bytes());
        update(format!("{:?} {:?}", tensor.dtype(), tensor.shape()).as_bytes());
        update(tensor.data());
    }
    Some((stored.to_owned(), sha256.finish().to_string()))
}
