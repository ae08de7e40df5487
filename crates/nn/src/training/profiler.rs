//! Where a step's time goes.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use super::Task;

/// A section of a step, as one thread goes through it: a task of a stage of the [`Plan`](super::Plan), or the wait at the
/// barrier after the stage. Stages count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Section {
    /// A task.
    Task {
        /// The stage.
        stage: usize,
        /// The place among the stage's tasks, from 0.
        place: usize,
        /// The task.
        task: Task,
    },
    /// The barrier after a stage.
    Barrier {
        /// The stage.
        stage: usize,
    },
}

impl Section {
    /// The order in a step.
    fn order(self) -> (usize, usize) {
        match self {
            Self::Task { stage, place, .. } => (stage, place),
            Self::Barrier { stage } => (stage, usize::MAX),
        }
    }
}

/// Told at the end of each section what it was.
pub trait Profiler: Debug + Default + Send {
    /// `section` ends now, and the next one begins.
    fn end(&mut self, section: Section);
}

/// Measures nothing, at no cost.
impl Profiler for () {
    #[inline(always)]
    fn end(&mut self, _: Section) {}
}

/// Adds up the time of each section, a look at the clock each: a dozen and a half for a tutorial's step.
#[derive(Clone, Debug)]
pub struct Profile {
    last: Instant,
    sections: Vec<(Section, Duration)>,
}

impl Profile {
    /// The time spent in each section, in the order of a step.
    pub fn sections(&self) -> Vec<(Section, Duration)> {
        let mut sections = self.sections.clone();
        sections.sort_unstable_by_key(|(section, _)| section.order());
        sections
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self { last: Instant::now(), sections: Vec::new() }
    }
}

impl Profiler for Profile {
    fn end(&mut self, section: Section) {
        let now = Instant::now();
        let spent = now - self.last;
        self.last = now;
        match self.sections.iter_mut().find(|(kind, _)| *kind == section) {
            Some((_, total)) => *total += spent,
            None => self.sections.push((section, spent)),
        }
    }
}
