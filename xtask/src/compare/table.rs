//! The table of the measurements, as Markdown.

use super::measure::Run;

/// A system with a number of threads, and its runs.
#[derive(Clone, Debug)]
pub(crate) struct System {
    pub(crate) name: String,
    /// Whether it is ziffer, with which the others are compared.
    pub(crate) ours: bool,
    pub(crate) threads: usize,
    pub(crate) outcome: Outcome,
}

#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Runs(Vec<Run>),
    /// The reason why the system cannot run.
    Missing(String),
}

/// A system's statistics over its runs.
struct Row<'a> {
    system: &'a System,
    fit: f64,
    fit_minimum: f64,
    compile: Option<f64>,
    process: f64,
    accuracy: f64,
    memory: u64,
}

impl<'a> Row<'a> {
    fn new(system: &'a System) -> Option<Self> {
        let Outcome::Runs(runs) = &system.outcome else { return None };
        let compiles: Vec<f64> = runs.iter().filter_map(|run| run.compile).collect();
        Some(Self {
            system,
            fit: median(runs.iter().map(|run| run.fit))?,
            fit_minimum: runs.iter().map(|run| run.fit).fold(f64::INFINITY, f64::min),
            compile: median(compiles),
            process: median(runs.iter().map(|run| run.process))?,
            accuracy: runs.iter().map(|run| run.accuracy).sum::<f64>() / runs.len() as f64,
            memory: runs.iter().map(|run| run.memory).max()?,
        })
    }
}

/// The table, fastest system first. Systems that cannot run are at its end, with the reasons below it.
pub(crate) fn table(systems: &[System]) -> String {
    let mut rows: Vec<Row<'_>> = systems.iter().filter_map(Row::new).collect();
    rows.sort_by(|a, b| a.fit.total_cmp(&b.fit));
    let best = |time: fn(&Row<'_>) -> f64| {
        rows.iter().filter(|row| row.system.ours).map(time).fold(f64::INFINITY, f64::min)
    };
    let (best_fit, best_process) = (best(|row| row.fit), best(|row| row.process));
    let mut text =
        "| system | threads | fit, median | fit, minimum | to ziffer's best | compile | process, median \
                    | to ziffer's best | test accuracy, mean | peak memory |\n\
                    |---|---|---|---|---|---|---|---|---|---|\n"
            .to_owned();
    for row in &rows {
        text += &format!(
            "| {} | {} | {:.2} s | {:.2} s | {:.2} | {} | {:.2} s | {:.2} | {:.2}% | {} MB |\n",
            row.system.name,
            row.system.threads,
            row.fit,
            row.fit_minimum,
            row.fit / best_fit,
            row.compile.map(|compile| format!("{compile:.2} s")).unwrap_or_default(),
            row.process,
            row.process / best_process,
            100.0 * row.accuracy,
            row.memory / 1_000_000
        );
    }
    let missing: Vec<(&System, &String)> = systems
        .iter()
        .filter_map(|system| match &system.outcome {
            Outcome::Missing(reason) => Some((system, reason)),
            Outcome::Runs(_) => None,
        })
        .collect();
    for (system, _) in &missing {
        text += &format!("| {} | {} | missing | | | | | | | |\n", system.name, system.threads);
    }
    if !missing.is_empty() {
        text += "\nMissing:\n\n";
    }
    for (system, reason) in &missing {
        text += &format!("* {}, threads: {}: {reason}\n", system.name, system.threads);
    }
    text
}

/// The median; of an even number of values, the mean of the middle two.
fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    Some(if values.len() % 2 == 1 { upper } else { f64::midpoint(values[values.len() / 2 - 1], upper) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn system(name: &str, threads: usize, compile: Option<f64>, fits: &[f64]) -> System {
        let run = |&fit| Run {
            fit,
            compile,
            process: fit + 1.0,
            accuracy: 0.97 + fit / 1000.0,
            memory: 50_400_000,
        };
        let outcome = Outcome::Runs(fits.iter().map(run).collect());
        System { name: name.to_owned(), ours: name == "ziffer", threads, outcome }
    }

    #[test]
    fn a_row_has_medians_the_minimum_and_ratios_to_the_best_of_ziffer() {
        let missing = System {
            outcome: Outcome::Missing("it ended with exit status: 1".to_owned()),
            ..system("lost", 2, None, &[])
        };
        let systems = [
            missing,
            system("slow", 2, Some(0.5), &[9.0, 6.0, 7.0, 1.0]),
            system("ziffer", 1, None, &[2.0, 4.0, 3.0]),
            system("ziffer", 2, None, &[1.0, 1.0, 7.0]),
        ];
        let lines: Vec<String> = table(&systems).lines().skip(2).map(str::to_owned).collect();
        assert_eq!(
            lines,
            [
                "| ziffer | 2 | 1.00 s | 1.00 s | 1.00 |  | 2.00 s | 1.00 | 97.30% | 50 MB |",
                "| ziffer | 1 | 3.00 s | 2.00 s | 3.00 |  | 4.00 s | 2.00 | 97.30% | 50 MB |",
                "| slow | 2 | 6.50 s | 1.00 s | 6.50 | 0.50 s | 7.50 s | 3.75 | 97.58% | 50 MB |",
                "| lost | 2 | missing | | | | | | | |",
                "",
                "Missing:",
                "",
                "* lost, threads: 2: it ended with exit status: 1",
            ]
        );
    }

    #[test]
    fn a_median_of_nothing_is_none() {
        assert_eq!(median([]), None);
        assert_eq!(median([3.0]), Some(3.0));
        assert_eq!(median([4.0, 1.0]), Some(2.5));
    }
}
