//! `cargo xtask bench`: a table of the benchmarks' results.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use ziffer::Host;

use crate::host;

/// Run the criterion benchmarks and write a table of their medians and of the fraction of the core's peak
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Bench {
    /// File to write the table to
    #[arg(long, value_name = "FILE", default_value = "docs/benchmarks.md")]
    table: PathBuf,
    /// Run only benchmarks whose name contains this text
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
}

/// Criterion's description of a benchmark: `benchmark.json`.
#[derive(Debug, Deserialize)]
struct Description {
    full_id: String,
    throughput: Option<Throughput>,
}

#[derive(Debug, Deserialize)]
struct Throughput {
    #[serde(rename = "Elements")]
    elements: Option<f64>,
}

/// Criterion's results for a benchmark, in nanoseconds: `estimates.json`.
#[derive(Debug, Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Debug, Deserialize)]
struct Estimate {
    point_estimate: f64,
}

/// The groups of benchmarks whose throughput is in floating-point operations.
const PRODUCTS: [&str; 6] =
    ["peak/", "affine/", "matmul_nt/", "matmul_tn/", "pixels_affine/", "pixels_matmul_tn/"];

impl Bench {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.current_dir(&root).args(["bench", "--package", "ziffer-benches", "--"]).args(&self.filter);
        let status = command.status().context("cargo bench")?;
        ensure!(status.success(), "cargo bench ended with {status}");

        let mut measured = Vec::new();
        collect(&root.join("target/criterion"), &mut measured)?;
        measured.sort_by(|a, b| a.0.full_id.cmp(&b.0.full_id));
        let result = |name: &str| measured.iter().find(|(description, _)| description.full_id == name);
        let Some((Description { throughput: Some(Throughput { elements: Some(flop) }), .. }, time)) =
            result("peak/fma")
        else {
            bail!("target/criterion has no result for the core's peak; run without --filter first");
        };
        let peak = flop / time;
        let mut text = format!(
            "# Benchmarks\n\n\
             Written by `cargo xtask bench` on {} with {} kernels, {}. Medians, on one thread unless the name says otherwise.\n\n\
             Peak of a core, measured in the same run: **{peak:.1} GFLOP/s**. Rates of products count the operations of\n\
             the dense product, so kernels that skip zero pixels can exceed the peak.\n\n\
             | benchmark | microseconds | GFLOP/s | of the peak |\n|---|---|---|---|\n",
            Host::current().processor,
            ziffer::tensor::InstructionSet::current().name(),
            host::compiler()
        );
        for (description, time) in &measured {
            let name = &description.full_id;
            write!(text, "| {name} | {:.2} ", time / 1e3)?;
            let flop = description.throughput.as_ref().and_then(|throughput| throughput.elements);
            match flop.filter(|_| PRODUCTS.iter().any(|group| name.starts_with(group))) {
                Some(flop) => writeln!(text, "| {:.1} | {:.0}% |", flop / time, 100.0 * flop / time / peak)?,
                None => writeln!(text, "| | |")?,
            }
        }
        std::fs::write(&self.table, text).with_context(|| format!("{}: cannot write", self.table.display()))
    }
}

/// Collects the newest results of all benchmarks below a folder.
fn collect(folder: &Path, found: &mut Vec<(Description, f64)>) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("{}: cannot read", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if !path.is_dir() {
            continue;
        }
        if path.file_name().is_some_and(|name| name == "new") {
            let read = |file: &str| {
                std::fs::read_to_string(path.join(file)).with_context(|| path.display().to_string())
            };
            let description: Description = serde_json::from_str(&read("benchmark.json")?)?;
            let estimates: Estimates = serde_json::from_str(&read("estimates.json")?)?;
            found.push((description, estimates.median.point_estimate));
        } else {
            collect(&path, found)?;
        }
    }
    Ok(())
}
