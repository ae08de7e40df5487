//! Chooses the number of worker threads from measured step times.
//!
//! Threads that synchronize twice per step are faster together only while each has a core. On a busy machine all of them wait
//! for the thread that has lost its core, for milliseconds at a time. The result of a step does not depend on the number of
//! threads. So the tuner periodically runs a few steps with fewer or more threads, and keeps the fastest number.

use std::time::Duration;

/// The time of a run of steps. The progress bar and the callbacks are updated between runs.
const RUN: Duration = Duration::from_millis(50);

/// The time of a run that tries another number of threads: some dozens of the tutorial's steps, a small part of the time.
const TRIAL: Duration = Duration::from_millis(4);

/// The largest ratio of step times for which the number of threads changes. Without it, noise would change the number.
const MAX_RATIO: f64 = 0.9;

/// If a run is slower than the previous one by this factor, other numbers are tried, unless they were just tried.
const SLOWDOWN: f64 = 1.5;

/// Seconds between trials: at first and after a change the minimum. Each trial without a change doubles it, up to the maximum.
const MIN_INTERVAL: f64 = 0.1;
const MAX_INTERVAL: f64 = 1.0;

/// Chooses the number of threads of the next run from the step times of previous runs.
#[derive(Debug)]
pub(crate) struct ThreadTuner {
    /// The numbers of threads to choose from: all, half of them, and so on, down to one.
    counts: Vec<usize>,
    /// The last measured seconds per step for each number of threads.
    step_seconds: Vec<Option<f64>>,
    /// The number of threads in use, as an index into `counts`.
    current: usize,
    /// The indices of the numbers to try, the next one last.
    trials: Vec<usize>,
    since_trial: f64,
    interval: f64,
    /// Whether no run was measured yet. The first run fills the caches and is not measured.
    cold: bool,
}

impl ThreadTuner {
    /// A tuner for at most `threads` threads. It starts with all of them.
    pub(crate) fn new(threads: usize) -> Self {
        let counts: Vec<usize> =
            std::iter::successors(Some(threads.max(1)), |&count| (count > 1).then_some(count / 2)).collect();
        let step_seconds = vec![None; counts.len()];
        // All threads are measured once before fewer are tried.
        Self {
            counts,
            step_seconds,
            current: 0,
            trials: Vec::new(),
            since_trial: 0.0,
            interval: 0.0,
            cold: true,
        }
    }

    /// The number of threads and the time of the next run.
    pub(crate) fn next(&self) -> (usize, Duration) {
        match self.trials.last() {
            Some(&index) => (self.counts[index], TRIAL),
            // The first measurement is short.
            None if self.counts.len() > 1 && self.step_seconds[self.current].is_none() => {
                (self.counts[self.current], TRIAL)
            }
            None => (self.counts[self.current], RUN),
        }
    }

    /// Records the run that [`next`](Self::next) returned.
    pub(crate) fn record(&mut self, steps: usize, elapsed: Duration) {
        if self.counts.len() == 1 || steps == 0 || std::mem::take(&mut self.cold) {
            return;
        }
        let step_seconds = elapsed.as_secs_f64() / steps as f64;
        let tried = self.trials.pop();
        let index = tried.unwrap_or(self.current);
        let before = self.step_seconds[index].replace(step_seconds);
        if tried.is_some() {
            if self.trials.is_empty() {
                self.choose();
            }
            return;
        }
        self.since_trial += elapsed.as_secs_f64();
        let slowed =
            before.is_some_and(|before| step_seconds > SLOWDOWN * before) && self.since_trial >= MIN_INTERVAL;
        if slowed || self.since_trial >= self.interval {
            let above = self.current.checked_sub(1);
            let below = Some(self.current + 1).filter(|&below| below < self.counts.len());
            self.trials = above.into_iter().chain(below).collect();
        }
    }

    /// Changes to the fastest of the numbers that were just tried, if it is fast enough.
    fn choose(&mut self) {
        let near = self.current.saturating_sub(1)..=(self.current + 1).min(self.counts.len() - 1);
        let measured = |index: usize| self.step_seconds[index].unwrap_or(f64::INFINITY);
        let fastest = near.min_by(|&a, &b| measured(a).total_cmp(&measured(b))).unwrap_or(self.current);
        self.since_trial = 0.0;
        if measured(fastest) < MAX_RATIO * measured(self.current) {
            self.current = fastest;
            self.interval = MIN_INTERVAL;
        } else {
            self.interval = (2.0 * self.interval).clamp(MIN_INTERVAL, MAX_INTERVAL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Simulates a tuner for `seconds` on a machine where a step with `count` threads takes `cost(count)` seconds. Returns the
    /// fraction of the time that was spent with each number of threads.
    fn simulate(tuner: &mut ThreadTuner, seconds: f64, cost: impl Fn(usize) -> f64) -> Vec<(usize, f64)> {
        let mut spent: Vec<(usize, f64)> = tuner.counts.iter().map(|&count| (count, 0.0)).collect();
        let mut now = 0.0;
        while now < seconds {
            let (count, time) = tuner.next();
            let steps = (time.as_secs_f64() / cost(count)).ceil().max(1.0);
            let elapsed = steps * cost(count);
            tuner.record(steps as usize, Duration::from_secs_f64(elapsed));
            now += elapsed;
            if let Some(entry) = spent.iter_mut().find(|entry| entry.0 == count) {
                entry.1 += elapsed / seconds;
            }
        }
        spent
    }

    fn fraction(spent: &[(usize, f64)], count: usize) -> f64 {
        spent.iter().find(|entry| entry.0 == count).map_or(0.0, |entry| entry.1)
    }

    /// The seconds of a step on an idle machine.
    fn idle(count: usize) -> f64 {
        160e-6 / count as f64 + 10e-6
    }

    /// The seconds of a step on a busy machine: barriers take milliseconds.
    fn busy(count: usize) -> f64 {
        if count == 1 { 240e-6 } else { 4e-3 }
    }

    #[test]
    fn an_idle_machine_uses_all_threads() {
        for threads in [2, 3, 4, 8] {
            let spent = simulate(&mut ThreadTuner::new(threads), 1.0, idle);
            assert!(fraction(&spent, threads) > 0.97, "{spent:?}");
        }
    }

    #[test]
    fn a_busy_machine_uses_one_thread_until_it_is_idle() {
        let mut tuner = ThreadTuner::new(2);
        let spent = simulate(&mut tuner, 2.0, busy);
        assert!(fraction(&spent, 1) > 0.95, "{spent:?}");
        simulate(&mut tuner, 1.1, idle);
        let spent = simulate(&mut tuner, 1.0, idle);
        assert!(fraction(&spent, 2) > 0.95, "{spent:?}");
        // A slowdown is noticed at the first slow run that does not directly follow a trial.
        let spent = simulate(&mut tuner, 1.0, busy);
        assert!(fraction(&spent, 1) > 0.8, "{spent:?}");
    }

    #[test]
    fn many_threads_are_halved_repeatedly() {
        let mut tuner = ThreadTuner::new(8);
        simulate(&mut tuner, 1.0, |count| if count <= 2 { idle(count) } else { 1e-3 * count as f64 });
        let spent =
            simulate(&mut tuner, 1.0, |count| if count <= 2 { idle(count) } else { 1e-3 * count as f64 });
        assert!(fraction(&spent, 2) > 0.9, "{spent:?}");
    }

    #[test]
    fn a_single_thread_is_kept() {
        let mut tuner = ThreadTuner::new(1);
        let spent = simulate(&mut tuner, 1.0, idle);
        assert!((fraction(&spent, 1) - 1.0).abs() < 0.1);
        assert_eq!(tuner.next(), (1, RUN));
        assert_eq!(ThreadTuner::new(0).next().0, 1);
    }
}
