//! The tutorial's accuracy over many seeds, as a table.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Parser;
use ziffer::commands::{FinishedRun, TrainArgs};

/// The lowest accepted mean test accuracy over many seeds. Keras 3.15 on TensorFlow reaches 97.42% over 12 seeds.
const MEAN_FLOOR: f64 = 0.974;

/// Train the tutorial with seeds 0, 1, 2, ... and write a table of the results
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Seeds {
    /// Number of seeds
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(2..))]
    count: u64,
    /// File to write the table to
    #[arg(long, value_name = "FILE", default_value = "docs/seeds.md")]
    table: PathBuf,
}

impl Seeds {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let runs: Vec<FinishedRun> = (0..self.count).map(train).collect::<anyhow::Result<_>>()?;
        let accuracies: Vec<f64> = runs.iter().map(|run| run.summary.test_accuracy).collect();
        let n = accuracies.len() as f64;
        let mean = accuracies.iter().sum::<f64>() / n;
        let deviation = (accuracies.iter().map(|a| (a - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();

        let mut text = format!(
            "# The tutorial over {} seeds\n\n\
             Written by `cargo xtask seeds`. Any machine gives the same table, digests included.\n\n\
             Mean test accuracy **{:.2}%**, standard deviation {:.2} points. Keras 3.15 on TensorFlow 2.21, over 12 seeds:\n\
             97.42%, 0.15 points.\n\n\
             | seed | test accuracy | test loss | validation accuracy | weights (SHA-256, first 16 digits) |\n\
             |---|---|---|---|---|\n",
            self.count,
            100.0 * mean,
            100.0 * deviation
        );
        for FinishedRun { summary, .. } in &runs {
            writeln!(
                text,
                "| {} | {:.2}% | {:.4} | {:.2}% | `{}` |",
                summary.seed,
                100.0 * summary.test_accuracy,
                summary.test_loss,
                100.0 * summary.history.val_accuracy.last().copied().unwrap_or(f64::NAN),
                &summary.weights_sha256[..16]
            )?;
        }
        std::fs::write(&self.table, text)
            .with_context(|| format!("{}: cannot write", self.table.display()))?;
        ensure!(
            mean >= MEAN_FLOOR,
            "the mean test accuracy is {:.2}%, expected at least 97.40%",
            100.0 * mean
        );
        Ok(())
    }
}

/// The command line of `train`.
#[derive(Debug, Parser)]
struct Train {
    #[command(flatten)]
    args: TrainArgs,
}

/// Trains the tutorial with one seed. The run folder `runs/seeds/SEED` replaces that of an earlier call.
fn train(seed: u64) -> anyhow::Result<FinishedRun> {
    let out = format!("runs/seeds/{seed}");
    Train::try_parse_from(["train", "--seed", &seed.to_string(), "--out", &out, "--force"])?.args.run()
}
