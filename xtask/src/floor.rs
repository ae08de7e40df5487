//! The accuracy below which the tutorial has not been reproduced.

use anyhow::ensure;
use ziffer::commands::FinishedRun;

/// Test accuracy. Over 20 seeds the tutorial ends at 97.5 % with a standard deviation of 0.25, so that no seed comes near
/// this by chance.
const FLOOR: f64 = 0.965;

/// Fails if the run was the tutorial's and ended below the floor. Other recipes may end where they like.
pub(crate) fn check(trained: &FinishedRun) -> anyhow::Result<()> {
    let accuracy = trained.summary.test_accuracy;
    ensure!(
        !trained.recipe.is_tutorial() || accuracy >= FLOOR,
        "the tutorial ended at a test accuracy of {:.2}%, expected at least {:.1}%",
        100.0 * accuracy,
        100.0 * FLOOR
    );
    Ok(())
}
