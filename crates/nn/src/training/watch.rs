//! Where a step's time goes.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// What a member of the team does in a step, in this order; layers are counted from 0, those that compute nothing left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lap {
    /// Copying the batch's samples side by side.
    Gather,
    /// Its outputs of the first layer, if these are shared out.
    FirstForward,
    /// Waiting for the others' outputs.
    MeetAfterFirst,
    /// Phase 1: a layer's forward pass.
    Forward(usize),
    /// Phase 1: the losses and their gradient.
    Loss,
    /// Phase 1: a layer's backward pass.
    Backward(usize),
    /// Waiting for the others' samples.
    MeetAfterSamples,
    /// Phase 2: forming the gradient of its part of a layer's weights, and with Adam the update.
    Gradient(usize),
    /// Phase 2: updating these weights with another optimizer, which takes turns with [`Lap::Gradient`].
    Update(usize),
    /// Waiting for the others' weights.
    MeetAfterWeights,
}

/// Is told at the end of each lap what it was.
pub trait Watch: Debug + Default + Send {
    /// `lap` ends now, and the next one begins.
    fn lap(&mut self, lap: Lap);
}

/// Watches nothing, at no cost.
impl Watch for () {
    #[inline(always)]
    fn lap(&mut self, _: Lap) {}
}

/// Adds up the time of each lap, a look at the clock each: a dozen and a half for a tutorial's step with Adam.
#[derive(Clone, Debug)]
pub struct Profile {
    last: Instant,
    laps: Vec<(Lap, Duration)>,
}

impl Profile {
    /// The time spent on each kind of lap, in the order of a step.
    pub fn laps(&self) -> Vec<(Lap, Duration)> {
        let mut laps = self.laps.clone();
        laps.sort_unstable();
        laps
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self { last: Instant::now(), laps: Vec::new() }
    }
}

impl Watch for Profile {
    fn lap(&mut self, lap: Lap) {
        let now = Instant::now();
        let spent = now - self.last;
        self.last = now;
        match self.laps.iter_mut().find(|(kind, _)| *kind == lap) {
            Some((_, total)) => *total += spent,
            None => self.laps.push((lap, spent)),
        }
    }
}
