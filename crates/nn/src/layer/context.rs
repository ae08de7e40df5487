//! The context of a layer's call: the mode, the position in the training, random numbers, and memory.

use ziffer_tensor::random::{Purpose, Stream};

/// The mode of a call, as Keras's argument `training`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Prediction and evaluation.
    Inference,
    /// A training step: dropout is active, and batch normalization uses the statistics of the batch.
    Training,
}

/// The kind of outputs of a layer with an output activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputKind {
    /// The outputs of the activation.
    Activated,
    /// The inputs of the activation, for a loss that includes it. `backward` then gets the gradient with respect to the logits.
    Logits,
}

/// The context of a layer's forward or backward pass.
#[derive(Debug)]
pub struct Context<'a, T> {
    pub(crate) mode: Mode,
    pub(crate) output_kind: OutputKind,
    pub(crate) seed: u64,
    pub(crate) layer: u32,
    pub(crate) batch: u64,
    pub(crate) first_row: usize,
    pub(crate) batch_rows: usize,
    pub(crate) saved: &'a mut [T],
    pub(crate) scratch: &'a mut [T],
}

impl<'a, T> Context<'a, T> {
    /// The context of a call outside of a model, with random numbers of this seed. The lengths of `saved` and `scratch` must be
    /// those that the layer returns.
    pub fn new(mode: Mode, seed: u64, saved: &'a mut [T], scratch: &'a mut [T]) -> Self {
        let output_kind = OutputKind::Activated;
        Self { mode, output_kind, seed, layer: 0, batch: 0, first_row: 0, batch_rows: 0, saved, scratch }
    }

    /// The mode. For a frozen layer it is always inference.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether the mode is training.
    pub fn is_training(&self) -> bool {
        self.mode == Mode::Training
    }

    /// The kind of outputs, for a layer with an [output activation](crate::Layer::output_activation).
    pub fn output_kind(&self) -> OutputKind {
        self.output_kind
    }

    /// The number of the batch, counted from 0 since training began.
    pub fn batch(&self) -> u64 {
        self.batch
    }

    /// The index of the call's first row in the batch, from 0.
    pub fn first_row(&self) -> usize {
        self.first_row
    }

    /// The number of rows of the whole batch. The call may have fewer.
    pub fn batch_rows(&self) -> usize {
        self.batch_rows
    }

    /// The random numbers of row `row` of the call, from 0. They depend on the seed, the layer's index in the model, the number
    /// of the batch and the row's index in the batch, and on nothing else: not on the thread or on earlier calls.
    pub fn stream(&self, row: usize) -> Stream {
        let purpose = Purpose::Layer { index: self.layer, batch: self.batch };
        Stream::new(self.seed, purpose, (self.first_row + row) as u64)
    }

    /// The numbers that the layer saves from `forward` to `backward` and `gradient` in training: S =
    /// [`Layer::saved`](crate::Layer::saved) numbers for each row of the call, \[B, S\] in C order. With
    /// [`Parallelism::Channels`](crate::layer::Parallelism::Channels) they are \[S, C\] for the C channels of the call. Empty at
    /// inference.
    pub fn saved(&mut self) -> &mut [T] {
        self.saved
    }

    /// Working memory of [`Layer::scratch`](crate::Layer::scratch) numbers. Its contents are unspecified at first.
    pub fn scratch(&mut self) -> &mut [T] {
        self.scratch
    }

    /// Both [`saved`](Self::saved) and [`scratch`](Self::scratch).
    pub fn memory(&mut self) -> (&mut [T], &mut [T]) {
        (self.saved, self.scratch)
    }

    /// The same context with other memory, for a layer that contains another.
    pub fn with_memory<'b>(&self, saved: &'b mut [T], scratch: &'b mut [T]) -> Context<'b, T> {
        Context { saved, scratch, ..*self }
    }
}
