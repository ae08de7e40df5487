//! The threads and the time for a run of steps.

use std::time::Duration;

use ziffer_tensor::team::Team;

/// The threads and the time for a run of steps.
#[derive(Clone, Copy, Debug)]
pub struct StepBudget<'a> {
    /// The thread team.
    pub team: &'a Team,
    /// How many of its threads take part. The results do not depend on this number.
    pub threads: usize,
    /// The time after which no further step begins. At least one step is made. `None` is no limit.
    pub time: Option<Duration>,
}

impl<'a> From<&'a Team> for StepBudget<'a> {
    /// All threads of the team, without a time limit.
    fn from(team: &'a Team) -> Self {
        Self { team, threads: team.size(), time: None }
    }
}
