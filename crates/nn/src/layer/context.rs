//! What a layer is told beside its input: the mode, its place in the run, random numbers, and memory.

use ziffer_tensor::random::{Purpose, Stream};

/// Whether a model is being trained, as Keras's argument `training`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Outputs for predictions and evaluations.
    Inference,
    /// A step of a training: dropout drops, batch statistics are taken.
    Training,
}

/// What a layer with an output activation puts out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// The activation.
    Activated,
    /// What goes into the activation, for a loss that takes it from there. `backward` gets the gradient by the logits then.
    Logits,
}

/// What a layer's forward and backward passes are told beside their input.
#[derive(Debug)]
pub struct Context<'a, T> {
    pub(crate) mode: Mode,
    pub(crate) output: Output,
    pub(crate) seed: u64,
    pub(crate) layer: u32,
    pub(crate) batch: u64,
    pub(crate) first_row: usize,
    pub(crate) batch_rows: usize,
    pub(crate) saved: &'a mut [T],
    pub(crate) scratch: &'a mut [T],
}

impl<'a, T> Context<'a, T> {
    /// A call of a layer by itself, with random numbers of this seed. `saved` and `scratch` are as long as the layer says.
    pub fn new(mode: Mode, seed: u64, saved: &'a mut [T], scratch: &'a mut [T]) -> Self {
        let output = Output::Activated;
        Self { mode, output, seed, layer: 0, batch: 0, first_row: 0, batch_rows: 0, saved, scratch }
    }

    /// The mode. Of a layer that is frozen it is always inference.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether the mode is training.
    pub fn is_training(&self) -> bool {
        self.mode == Mode::Training
    }

    /// What the layer puts out, if it has an [output activation](crate::Layer::output_activation).
    pub fn output(&self) -> Output {
        self.output
    }

    /// The number of the batch since training began, from 0.
    pub fn batch(&self) -> u64 {
        self.batch
    }

    /// The number of the call's first row in the batch, from 0.
    pub fn first_row(&self) -> usize {
        self.first_row
    }

    /// The number of rows of the whole batch, of which the call may have some.
    pub fn batch_rows(&self) -> usize {
        self.batch_rows
    }

    /// The random numbers of the call's row `row`, from 0: they belong to the run's seed, the layer's place in the model, the
    /// number of the batch and the row's place in the batch, whatever thread asks for them and how often.
    pub fn stream(&self, row: usize) -> Stream {
        let purpose = Purpose::Layer { index: self.layer, batch: self.batch };
        Stream::new(self.seed, purpose, (self.first_row + row) as u64)
    }

    /// What the layer keeps from `forward` to `backward` and `gradient` in training: [`Layer::saved`](crate::Layer::saved)
    /// = S numbers for each row of the call, \[B, S\] in C order; with [`Sharing::Channels`](crate::layer::Sharing::Channels)
    /// \[S, C\] for the C channels of the call. Empty at inference.
    pub fn saved(&mut self) -> &mut [T] {
        self.saved
    }

    /// Working memory of the thread, as long as [`Layer::scratch`](crate::Layer::scratch) says. What it holds is left over
    /// from before.
    pub fn scratch(&mut self) -> &mut [T] {
        self.scratch
    }

    /// Both [`saved`](Self::saved) and [`scratch`](Self::scratch).
    pub fn memory(&mut self) -> (&mut [T], &mut [T]) {
        (self.saved, self.scratch)
    }

    /// The same context with other memory, for a layer that calls another.
    pub fn with_memory<'b>(&self, saved: &'b mut [T], scratch: &'b mut [T]) -> Context<'b, T> {
        Context { saved, scratch, ..*self }
    }
}
