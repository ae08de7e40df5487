//! The plan of a training step: the tasks of the threads between two barriers, as data.

use std::fmt::{self, Write};

use ziffer_tensor::Scalar;

use crate::layer::{InputType, Mode, Parallelism};
use crate::model::LayerSlot;

/// A training step as a list of stages, compiled from a model's layers.
///
/// `Display` prints a table with one stage per line.
///
/// ```
/// use ziffer_nn::layer::InputType;
/// use ziffer_nn::training::{Partition, Plan};
/// use ziffer_nn::{Activation, Sequential};
/// let model = Sequential::new([4]).dense(3, Activation::Relu).dense(2, Activation::Softmax).build(0)?;
/// let plan = Plan::of(&model, InputType::Real);
/// let partitions: Vec<Partition> = plan.stages().iter().map(|stage| stage.partition).collect();
/// assert_eq!(partitions, [Partition::Rows, Partition::Weights]);
/// # Ok::<(), ziffer_nn::BuildError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    stages: Vec<Stage>,
    /// The names of the layers that compute. Tasks refer to them by index.
    layers: Vec<String>,
    threads: usize,
}

/// A part of a step in which no thread waits for another. A barrier ends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// What the threads divide among themselves.
    pub partition: Partition,
    /// The tasks of each thread, in order.
    pub tasks: Vec<Task>,
    /// Whether the stage runs only in steps that update weights. With accumulated gradients not every step does.
    pub updates_only: bool,
}

/// What the threads divide among themselves in a stage. Layers are counted from 0, without those that compute nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Partition {
    /// The rows of the batch.
    Rows,
    /// The outputs of a layer, with the weights of these outputs.
    Outputs(usize),
    /// The channels of a layer.
    Channels(usize),
    /// The weights of all layers.
    Weights,
    /// Chunks of all gradients, of a fixed size.
    Gradients,
}

/// A task of a thread, on its part of the stage's [`Partition`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Task {
    /// A layer's forward pass.
    Forward(usize),
    /// The losses and their gradients with respect to the last layer's outputs.
    Loss,
    /// A layer's backward pass.
    Backward(usize),
    /// The gradient with respect to a layer's weights, which updates the weights at once.
    GradientUpdate(usize),
    /// The gradient with respect to a layer's weights, which is stored.
    Gradient(usize),
    /// The squared norms of chunks of the gradients.
    SquaredNorms,
    /// The update of a layer's weights by the stored gradient.
    Update(usize),
    /// Copying the samples of the next batch into one block of memory.
    Fill,
}

/// How a step uses gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GradientUse {
    /// They update the weights as they are computed.
    Fused,
    /// They are stored, clipped by norms if `norms` is set, and then update the weights.
    Stored { norms: bool },
    /// They are stored and returned to the caller.
    Returned,
}

/// What a plan is compiled from.
pub(super) struct PlanInputs<'a, T: Scalar> {
    pub(super) layers: &'a [&'a LayerSlot<T>],
    pub(super) threads: usize,
    /// Whether the threads divide the first layer's outputs.
    pub(super) first_by_outputs: bool,
    pub(super) gradients: GradientUse,
}

impl Plan {
    /// The plan of a step of this model on one thread. See [`for_threads`](Self::for_threads).
    pub fn of<T: Scalar>(model: &crate::Model<T>, input: InputType) -> Self {
        Self::for_threads(model, input, 1)
    }

    /// The plan of a step of this model with Adam on `threads` threads.
    pub fn for_threads<T: Scalar>(model: &crate::Model<T>, input: InputType, threads: usize) -> Self {
        let layers = model.computing(Mode::Training, input);
        let states = 2;
        let first_by_outputs = super::shard::is_worth_it(&layers, input, threads, states);
        Self::compile(&PlanInputs {
            layers: &layers,
            threads,
            first_by_outputs,
            gradients: GradientUse::Fused,
        })
    }

    pub(super) fn compile<T: Scalar>(inputs: &PlanInputs<'_, T>) -> Self {
        let PlanInputs { layers, threads, first_by_outputs, gradients } = *inputs;
        let mut stages: Vec<Stage> = Vec::new();
        let mut add = |partition: Partition, task: Task| match stages.last_mut() {
            Some(stage) if stage.partition == partition => stage.tasks.push(task),
            _ => stages.push(Stage { partition, tasks: vec![task], updates_only: false }),
        };
        let of_layer = |l: usize, slot: &LayerSlot<T>| match slot.parallelism {
            Parallelism::Channels if slot.trainable => Partition::Channels(l),
            _ => Partition::Rows,
        };
        for (l, slot) in layers.iter().enumerate() {
            let by_outputs = l == 0 && first_by_outputs;
            add(if by_outputs { Partition::Outputs(l) } else { of_layer(l, slot) }, Task::Forward(l));
        }
        add(Partition::Rows, Task::Loss);
        let lowest = lowest_updated(layers);
        for (l, slot) in layers.iter().enumerate().skip(lowest).rev() {
            add(of_layer(l, slot), Task::Backward(l));
        }
        let updated = || layers.iter().enumerate().filter(|(_, slot)| slot.is_updated()).map(|(l, _)| l);
        match gradients {
            GradientUse::Fused => updated().for_each(|l| add(Partition::Weights, Task::GradientUpdate(l))),
            GradientUse::Returned => updated().for_each(|l| add(Partition::Weights, Task::Gradient(l))),
            GradientUse::Stored { norms } => {
                updated().for_each(|l| add(Partition::Weights, Task::Gradient(l)));
                if norms {
                    add(Partition::Gradients, Task::SquaredNorms);
                    updated().for_each(|l| add(Partition::Weights, Task::Update(l)));
                }
            }
        }
        if gradients == (GradientUse::Stored { norms: false }) {
            // A thread may read what it has stored itself without a barrier.
            let tasks = updated().map(Task::Update).collect();
            stages.push(Stage { partition: Partition::Weights, tasks, updates_only: false });
        }
        let stored =
            stages.iter().position(|stage| stage.tasks.iter().any(|task| matches!(task, Task::Gradient(_))));
        for stage in stages.iter_mut().skip(stored.map_or(usize::MAX, |stored| stored + 1)) {
            stage.updates_only = true;
        }
        if gradients != GradientUse::Returned {
            // The next samples are copied while the weights are updated. This stage runs in every step.
            match stages.iter_mut().find(|stage| stage.partition == Partition::Weights) {
                Some(stage) => stage.tasks.push(Task::Fill),
                None => {
                    stages.push(Stage {
                        partition: Partition::Weights,
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

    /// A partition in words: `outputs of dense`.
    pub fn partition_name(&self, partition: Partition) -> String {
        match partition {
            Partition::Rows => "rows".to_owned(),
            Partition::Outputs(l) => format!("outputs of {}", self.layers[l]),
            Partition::Channels(l) => format!("channels of {}", self.layers[l]),
            Partition::Weights => "weights".to_owned(),
            Partition::Gradients => "gradients".to_owned(),
        }
    }

    /// A task in words: `forward dense`.
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

/// The lowest layer whose weights are updated. The layers below it need no gradients.
pub(super) fn lowest_updated<T: Scalar>(layers: &[&LayerSlot<T>]) -> usize {
    layers.iter().position(|slot| slot.is_updated()).unwrap_or(layers.len())
}

/// The heading of the table's column of partitions.
const HEADING: &str = "divided";

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
        let partitions: Vec<String> =
            self.stages.iter().map(|stage| self.partition_name(stage.partition)).collect();
        let width = partitions.iter().map(String::len).max().unwrap_or(0).max(HEADING.len());
        writeln!(f, "     {HEADING:width$}  tasks of each thread, in order")?;
        for (number, (stage, partition)) in (1..).zip(self.stages.iter().zip(partitions)) {
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
            let when = if stage.updates_only { " (in steps that update weights)" } else { "" };
            writeln!(f, "{number:3}  {partition:width$}  {tasks}{when}")?;
        }
        Ok(())
    }
}
