//! The lowest accepted test accuracy of the tutorial.

use anyhow::ensure;
use ziffer::commands::FinishedRun;

/// The lowest accepted test accuracy. Over 20 seeds the tutorial reaches 97.5% with a standard deviation of 0.25 points, so no
/// seed reaches the floor by chance.
const FLOOR: f64 = 0.965;

/// Checks that a run of the tutorial reaches the floor. Runs of other recipes are not checked.
pub(crate) fn check(trained: &FinishedRun) -> anyhow::Result<()> {
    let accuracy = trained.summary.test_accuracy;
    ensure!(
        !trained.recipe.is_tutorial() || accuracy >= FLOOR,
        "the tutorial reached a test accuracy of {:.2}%, expected at least {:.1}%",
        100.0 * accuracy,
        100.0 * FLOOR
    );
    Ok(())
}
