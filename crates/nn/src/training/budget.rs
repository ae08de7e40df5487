//! The threads and the time for a run of steps.

use std::time::Duration;

use ziffer_tensor::thread_team::ThreadTeam;

/// The threads and the time for a run of steps.
#[derive(Clone, Copy, Debug)]
pub struct StepBudget<'a> {
    /// The thread team.
    pub team: &'a ThreadTeam,
    /// How many of its threads take part. The results do not depend on this number.
    pub threads: usize,
    /// The time after which no further step begins. At least one step is made. `None` is no limit.
    pub time: Option<Duration>,
}

impl<'a> From<&'a ThreadTeam> for StepBudget<'a> {
    /// All threads of the team, without a time limit.
    fn from(team: &'a ThreadTeam) -> Self {
        Self { team, threads: team.size(), time: None }
    }
}
