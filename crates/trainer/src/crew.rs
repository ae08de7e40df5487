//! How many of a team's threads make steps: as many as are worth it just now.
//!
//! Threads that meet twice in each step are faster together only while each has a core. On a machine that is busy with
//! something else, all wait for the one that has just lost its core, for milliseconds at a time. Since a step's result does
//! not depend on who makes it, the crew can follow what is measured: now and then a short stretch is made with fewer
//! threads, or with more, and the faster way is kept.

use std::time::Duration;

/// How long a stretch is. Between two of them the bar moves and callbacks are called.
const STRETCH: Duration = Duration::from_millis(50);

/// How long a stretch is that tries another size: some dozens of the tutorial's steps, and a small share of the time.
const TRIAL: Duration = Duration::from_millis(4);

/// A size must be faster by this factor to be moved to, else noise would move the crew to and fro.
const WORTH_MOVING: f64 = 0.9;

/// A stretch slower than usual by this factor is a reason to try other sizes, if that was not done just now.
const TROUBLE: f64 = 1.5;

/// Seconds between trials after a move, and, doubled at each trial that changes nothing, at most.
const SOON: f64 = 0.1;
const LATER: f64 = 1.0;

/// Decides how many threads make the next stretch, by how fast the last ones were.
#[derive(Debug)]
pub(crate) struct Crew {
    /// All members, half of them, and so on, to a single one.
    sizes: Vec<usize>,
    /// Seconds of a step with each size, when last measured.
    per_step: Vec<Option<f64>>,
    /// The size that is kept to, as an index into `sizes`.
    current: usize,
    /// Sizes to be tried, the next one last.
    trials: Vec<usize>,
    since_trial: f64,
    interval: f64,
    /// Whether the first stretch is still to come, which reads everything into the caches.
    cold: bool,
}

impl Crew {
    /// A crew of at most `members`, of whom all take part at first.
    pub(crate) fn new(members: usize) -> Self {
        let sizes: Vec<usize> =
            std::iter::successors(Some(members.max(1)), |&size| (size > 1).then_some(size / 2)).collect();
        let per_step = vec![None; sizes.len()];
        // The full crew is measured once before smaller ones are tried.
        Self { sizes, per_step, current: 0, trials: Vec::new(), since_trial: 0.0, interval: 0.0, cold: true }
    }

    /// Who makes the next stretch, and for how long.
    pub(crate) fn next(&self) -> (usize, Duration) {
        match self.trials.last() {
            Some(&size) => (self.sizes[size], TRIAL),
            // Before anything is known, a short one.
            None if self.sizes.len() > 1 && self.per_step[self.current].is_none() => {
                (self.sizes[self.current], TRIAL)
            }
            None => (self.sizes[self.current], STRETCH),
        }
    }

    /// Takes note of the stretch that [`next`](Self::next) asked for.
    pub(crate) fn report(&mut self, steps: usize, elapsed: Duration) {
        if self.sizes.len() == 1 || steps == 0 || std::mem::take(&mut self.cold) {
            return;
        }
        let per_step = elapsed.as_secs_f64() / steps as f64;
        let tried = self.trials.pop();
        let size = tried.unwrap_or(self.current);
        let usual = self.per_step[size].replace(per_step);
        if tried.is_some() {
            if self.trials.is_empty() {
                self.judge();
            }
            return;
        }
        self.since_trial += elapsed.as_secs_f64();
        let trouble = usual.is_some_and(|usual| per_step > TROUBLE * usual) && self.since_trial >= SOON;
        if trouble || self.since_trial >= self.interval {
            let above = self.current.checked_sub(1);
            let below = Some(self.current + 1).filter(|&below| below < self.sizes.len());
            self.trials = above.into_iter().chain(below).collect();
        }
    }

    /// Moves to the fastest of the sizes that were just tried, if it is worth it.
    fn judge(&mut self) {
        let near = self.current.saturating_sub(1)..=(self.current + 1).min(self.sizes.len() - 1);
        let measured = |size: usize| self.per_step[size].unwrap_or(f64::INFINITY);
        let fastest = near.min_by(|&a, &b| measured(a).total_cmp(&measured(b))).unwrap_or(self.current);
        self.since_trial = 0.0;
        if measured(fastest) < WORTH_MOVING * measured(self.current) {
            self.current = fastest;
            self.interval = SOON;
        } else {
            self.interval = (2.0 * self.interval).clamp(SOON, LATER);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a crew for `seconds` on a machine where a step with `size` threads takes `cost(size)` seconds; returns the share
    /// of the time that was spent with each size asked for.
    fn simulate(crew: &mut Crew, seconds: f64, cost: impl Fn(usize) -> f64) -> Vec<(usize, f64)> {
        let mut spent: Vec<(usize, f64)> = crew.sizes.iter().map(|&size| (size, 0.0)).collect();
        let mut now = 0.0;
        while now < seconds {
            let (size, time) = crew.next();
            let steps = (time.as_secs_f64() / cost(size)).ceil().max(1.0);
            let elapsed = steps * cost(size);
            crew.report(steps as usize, Duration::from_secs_f64(elapsed));
            now += elapsed;
            if let Some(entry) = spent.iter_mut().find(|entry| entry.0 == size) {
                entry.1 += elapsed / seconds;
            }
        }
        spent
    }

    fn share(spent: &[(usize, f64)], size: usize) -> f64 {
        spent.iter().find(|entry| entry.0 == size).map_or(0.0, |entry| entry.1)
    }

    /// A step's seconds where each thread has a core.
    fn quiet(size: usize) -> f64 {
        160e-6 / size as f64 + 10e-6
    }

    /// A step's seconds where others want the cores: meetings take milliseconds.
    fn busy(size: usize) -> f64 {
        if size == 1 { 240e-6 } else { 4e-3 }
    }

    #[test]
    fn all_take_part_on_a_quiet_machine() {
        for members in [2, 3, 4, 8] {
            let spent = simulate(&mut Crew::new(members), 1.0, quiet);
            assert!(share(&spent, members) > 0.97, "{spent:?}");
        }
    }

    #[test]
    fn one_works_alone_on_a_busy_machine_and_the_others_come_back() {
        let mut crew = Crew::new(2);
        let spent = simulate(&mut crew, 2.0, busy);
        assert!(share(&spent, 1) > 0.95, "{spent:?}");
        simulate(&mut crew, 1.1, quiet);
        let spent = simulate(&mut crew, 1.0, quiet);
        assert!(share(&spent, 2) > 0.95, "{spent:?}");
        // Trouble is seen at the first slow stretch that is not right after a trial.
        let spent = simulate(&mut crew, 1.0, busy);
        assert!(share(&spent, 1) > 0.8, "{spent:?}");
    }

    #[test]
    fn a_large_crew_finds_its_way_down() {
        let mut crew = Crew::new(8);
        simulate(&mut crew, 1.0, |size| if size <= 2 { quiet(size) } else { 1e-3 * size as f64 });
        let spent = simulate(&mut crew, 1.0, |size| if size <= 2 { quiet(size) } else { 1e-3 * size as f64 });
        assert!(share(&spent, 2) > 0.9, "{spent:?}");
    }

    #[test]
    fn a_single_thread_is_left_alone() {
        let mut crew = Crew::new(1);
        let spent = simulate(&mut crew, 1.0, quiet);
        assert!((share(&spent, 1) - 1.0).abs() < 0.1);
        assert_eq!(crew.next(), (1, STRETCH));
        assert_eq!(Crew::new(0).next().0, 1);
    }
}
