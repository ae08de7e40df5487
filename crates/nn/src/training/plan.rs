//! The plan of a training step: what the threads do between two barriers, as data.

use std::fmt::{self, Write};

use ziffer_tensor::Scalar;

use crate::layer::{InputType, Mode, Sharing};
use crate::model::LayerSlot;

/// A training step as a list of stages, compiled from a model's layers.
///
/// Its display is a table, a stage a line.
///
/// ```
/// use ziffer_nn::layer::InputType;
/// use ziffer_nn::training::{Plan, Share};
/// use ziffer_nn::{Activation, Sequential};
/// let model = Sequential::new([4]).dense(3, Activation::Relu).dense(2, Activation::Softmax).build(0)?;
/// let plan = Plan::of(&model, InputType::Real);
/// let shares: Vec<Share> = plan.stages().iter().map(|stage| stage.share).collect();
/// assert_eq!(shares, [Share::Rows, Share::Weights]);
/// # Ok::<(), ziffer_nn::BuildError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    stages: Vec<Stage>,
    /// The names of the layers that compute, by which tasks know them.
    layers: Vec<String>,
    threads: usize,
}

/// A part of a step in which no thread waits for another. All meet at a barrier after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// What is shared out among the threads.
    pub share: Share,
    /// What each thread does with its share, in order.
    pub tasks: Vec<Task>,
    /// Whether it takes place only in steps that update weights; gradients may be accumulated over several.
    pub updates_only: bool,
}

/// What a stage shares out among the threads. Layers count from 0, those that compute nothing left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Share {
    /// The rows of the batch.
    Rows,
    /// The outputs of a layer, with the weights that belong to them.
    Outputs(usize),
    /// The channels of a layer.
    Channels(usize),
    /// The weights of all layers.
    Weights,
    /// Pieces of all gradients, of a fixed size.
    Gradients,
}

/// What a thread does with its share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Task {
    /// A layer's forward pass.
    Forward(usize),
    /// The losses and their gradient by the last layer's outputs.
    Loss,
    /// A layer's backward pass.
    Backward(usize),
    /// The gradient by a layer's weights. The weights are updated with it at once.
    GradientUpdate(usize),
    /// The gradient by a layer's weights, which is stored.
    Gradient(usize),
    /// The squared norms of pieces of the gradients.
    SquaredNorms,
    /// The update of a layer's weights by the stored gradient.
    Update(usize),
    /// Writing the next batch's samples side by side.
    Fill,
}

/// What becomes of gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gradients {
    /// They update the weights as they are formed.
    Fused,
    /// They are stored, and update the weights after that, clipped by norms perhaps.
    Stored { norms: bool },
    /// They are stored, and nothing else.
    Returned,
}

/// The layers of a step, and how they share it out.
pub(super) struct Design<'a, T: Scalar> {
    pub(super) layers: &'a [&'a LayerSlot<T>],
    pub(super) threads: usize,
    /// Whether the first layer shares out its outputs.
    pub(super) first_by_outputs: bool,
    pub(super) gradients: Gradients,
}

impl Plan {
    /// The plan of a step of this model on one thread, or on several where that makes no difference.
    pub fn of<T: Scalar>(model: &crate::Model<T>, input: InputType) -> Self {
        Self::for_threads(model, input, 1)
    }

    /// The plan of a step of this model with Adam on this number of threads.
    pub fn for_threads<T: Scalar>(model: &crate::Model<T>, input: InputType, threads: usize) -> Self {
        let layers = model.computing(Mode::Training, input);
        let states = 2;
        let first_by_outputs = super::shard::is_worth_it(&layers, input, threads, states);
        Self::compile(&Design { layers: &layers, threads, first_by_outputs, gradients: Gradients::Fused })
    }

    pub(super) fn compile<T: Scalar>(design: &Design<'_, T>) -> Self {
        let Design { layers, threads, first_by_outputs, gradients } = *design;
        let mut stages: Vec<Stage> = Vec::new();
        let mut add = |share: Share, task: Task| match stages.last_mut() {
            Some(stage) if stage.share == share => stage.tasks.push(task),
            _ => stages.push(Stage { share, tasks: vec![task], updates_only: false }),
        };
        let of_layer = |l: usize, slot: &LayerSlot<T>| match slot.sharing {
            Sharing::Channels if slot.trainable => Share::Channels(l),
            _ => Share::Rows,
        };
        for (l, slot) in layers.iter().enumerate() {
            let by_outputs = l == 0 && first_by_outputs;
            add(if by_outputs { Share::Outputs(l) } else { of_layer(l, slot) }, Task::Forward(l));
        }
        add(Share::Rows, Task::Loss);
        let lowest = lowest_updated(layers);
        for (l, slot) in layers.iter().enumerate().skip(lowest).rev() {
            add(of_layer(l, slot), Task::Backward(l));
        }
        let updated = || layers.iter().enumerate().filter(|(_, slot)| slot.is_updated()).map(|(l, _)| l);
        match gradients {
            Gradients::Fused => updated().for_each(|l| add(Share::Weights, Task::GradientUpdate(l))),
            Gradients::Returned => updated().for_each(|l| add(Share::Weights, Task::Gradient(l))),
            Gradients::Stored { norms } => {
                updated().for_each(|l| add(Share::Weights, Task::Gradient(l)));
                if norms {
                    add(Share::Gradients, Task::SquaredNorms);
                    updated().for_each(|l| add(Share::Weights, Task::Update(l)));
                }
            }
        }
        if gradients == (Gradients::Stored { norms: false }) {
            // What a thread has stored itself it may read at once.
            let tasks = updated().map(Task::Update).collect();
            stages.push(Stage { share: Share::Weights, tasks, updates_only: false });
        }
        let stored =
            stages.iter().position(|stage| stage.tasks.iter().any(|task| matches!(task, Task::Gradient(_))));
        for stage in stages.iter_mut().skip(stored.map_or(usize::MAX, |stored| stored + 1)) {
            stage.updates_only = true;
        }
        if gradients != Gradients::Returned {
            // While the weights are updated, the next samples come. This stage takes place in every step.
            match stages.iter_mut().find(|stage| stage.share == Share::Weights) {
                Some(stage) => stage.tasks.push(Task::Fill),
                None => {
                    stages.push(Stage {
                        share: Share::Weights,
                        tasks: vec![Task::Fill],
                        updates_only: false,
                    });
                }
            }
        }
        let layers = layers.iter().map(|slot| slot.name.clone()).collect();
        Self { stages, layers, threads }
    }

    /// The stages, in order.
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// What a stage shares out, in words.
    pub fn share_name(&self, share: Share) -> String {
        match share {
            Share::Rows => "rows".to_owned(),
            Share::Outputs(l) => format!("outputs of {}", self.layers[l]),
            Share::Channels(l) => format!("channels of {}", self.layers[l]),
            Share::Weights => "weights".to_owned(),
            Share::Gradients => "gradients".to_owned(),
        }
    }

    /// A task, in words.
    pub fn task_name(&self, task: Task) -> String {
        let (name, layer) = task.parts();
        layer.map_or_else(|| name.to_owned(), |l| format!("{name} {}", self.layers[l]))
    }
}

impl Task {
    fn parts(self) -> (&'static str, Option<usize>) {
        match self {
            Self::Forward(l) => ("forward", Some(l)),
            Self::Loss => ("loss", None),
            Self::Backward(l) => ("backward", Some(l)),
            Self::GradientUpdate(l) => ("gradient and update", Some(l)),
            Self::Gradient(l) => ("gradient", Some(l)),
            Self::SquaredNorms => ("squared norms", None),
            Self::Update(l) => ("update", Some(l)),
            Self::Fill => ("fill the next batch", None),
        }
    }
}

/// The lowest layer whose weights are updated: below it no gradients are needed.
pub(super) fn lowest_updated<T: Scalar>(layers: &[&LayerSlot<T>]) -> usize {
    layers.iter().position(|slot| slot.is_updated()).unwrap_or(layers.len())
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, threads) = (self.stages.len(), self.threads);
        let plural = |n: usize| if n == 1 { "" } else { "s" };
        writeln!(
            f,
            "Training step on {threads} thread{}: {count} stage{}, a barrier after each",
            plural(threads),
            plural(count)
        )?;
        let shares: Vec<String> = self.stages.iter().map(|stage| self.share_name(stage.share)).collect();
        let width = shares.iter().map(String::len).max().unwrap_or(0).max("shared out".len());
        writeln!(f, "     {:width$}  tasks of each thread, in order", "shared out")?;
        for (number, (stage, share)) in (1..).zip(self.stages.iter().zip(shares)) {
            let mut tasks = String::new();
            let mut before = "";
            for &task in &stage.tasks {
                let (name, layer) = task.parts();
                if name != before {
                    let _ = write!(tasks, "{}{name}", if before.is_empty() { "" } else { "; " });
                } else {
                    tasks.push(',');
                }
                if let Some(l) = layer {
                    let _ = write!(tasks, " {}", self.layers[l]);
                }
                before = name;
            }
            let when = if stage.updates_only { " (if weights are updated)" } else { "" };
            writeln!(f, "{number:3}  {share:width$}  {tasks}{when}")?;
        }
        Ok(())
    }
}
