//! Measures the time of each section of a step.

use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::plan::Task;

/// A section of a step on one thread: a task of a stage of the [`Plan`](super::Plan), or the wait at the barrier after the
/// stage. Stages are counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Section {
    /// A task.
    Task {
        /// The stage.
        stage: usize,
        /// The index among the stage's tasks, from 0.
        index: usize,
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
    /// The position in a step.
    fn order(self) -> (usize, usize) {
        match self {
            Self::Task { stage, index, .. } => (stage, index),
            Self::Barrier { stage } => (stage, usize::MAX),
        }
    }
}

/// Measures the sections of a step. Each thread has its own profiler.
pub trait Profiler: Debug + Default + Send {
    /// Called when `section` ends and the next one begins.
    fn end(&mut self, section: Section);
}

/// The work of a thread, which takes a function that ends a section.
pub(super) type Work<'w> = dyn FnMut(&mut dyn FnMut(Section)) + 'w;

/// The profilers of all threads as a trait object.
pub(super) trait Profilers: Sync {
    /// Calls `work` with a function that ends a section of this thread.
    fn with(&self, thread: usize, work: &mut Work<'_>);
}

/// No profilers.
impl Profilers for () {
    fn with(&self, _: usize, work: &mut Work<'_>) {
        work(&mut |_| {});
    }
}

/// A profiler per thread, made when the thread begins.
#[derive(Debug)]
pub(super) struct PerThread<P>(Mutex<Vec<(usize, P)>>);

impl<P: Profiler> PerThread<P> {
    pub(super) fn new() -> Self {
        Self(Mutex::default())
    }

    /// The profilers in the order of the threads.
    pub(super) fn into_vec(self) -> Vec<P> {
        let mut profilers = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        profilers.sort_unstable_by_key(|(thread, _)| *thread);
        profilers.into_iter().map(|(_, profiler)| profiler).collect()
    }
}

impl<P: Profiler> Profilers for PerThread<P> {
    fn with(&self, thread: usize, work: &mut Work<'_>) {
        let mut profiler = P::default();
        work(&mut |section| profiler.end(section));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((thread, profiler));
    }
}

/// Sums the time of each section. It reads the clock once per section: some 18 times in a step of the tutorial.
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
