//! What was measured, as text.

use super::measure::Run;

/// A system with a number of threads.
#[derive(Clone, Debug)]
pub(crate) struct Contestant {
    pub(crate) system: String,
    /// Whether it is ziffer, which the others are compared with.
    pub(crate) ours: bool,
    pub(crate) threads: usize,
    pub(crate) outcome: Outcome,
}

#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Runs(Vec<Run>),
    /// Why there are no figures.
    Missing(String),
}

/// A contestant's figures over its runs.
struct Row<'a> {
    contestant: &'a Contestant,
    fit: f64,
    fit_minimum: f64,
    compile: Option<f64>,
    whole: f64,
    accuracy: f64,
    memory: u64,
}

impl<'a> Row<'a> {
    fn new(contestant: &'a Contestant) -> Option<Self> {
        let Outcome::Runs(runs) = &contestant.outcome else { return None };
        let compiles: Vec<f64> = runs.iter().filter_map(|run| run.compile).collect();
        Some(Self {
            contestant,
            fit: median(runs.iter().map(|run| run.fit))?,
            fit_minimum: runs.iter().map(|run| run.fit).fold(f64::INFINITY, f64::min),
            compile: median(compiles),
            whole: median(runs.iter().map(|run| run.whole))?,
            accuracy: runs.iter().map(|run| run.accuracy).sum::<f64>() / runs.len() as f64,
            memory: runs.iter().map(|run| run.memory).max()?,
        })
    }
}

/// The table, fastest first, with the missing at its end and their reasons below.
pub(crate) fn table(contestants: &[Contestant]) -> String {
    let mut rows: Vec<Row<'_>> = contestants.iter().filter_map(Row::new).collect();
    rows.sort_by(|a, b| a.fit.total_cmp(&b.fit));
    let best = |figure: fn(&Row<'_>) -> f64| {
        rows.iter().filter(|row| row.contestant.ours).map(figure).fold(f64::INFINITY, f64::min)
    };
    let (best_fit, best_whole) = (best(|row| row.fit), best(|row| row.whole));
    let mut text =
        "| system | threads | fit, median | fit, minimum | to ziffer's best | compile | process, median \
                    | to ziffer's best | test accuracy, mean | peak memory |\n\
                    |---|---|---|---|---|---|---|---|---|---|\n"
            .to_owned();
    for row in &rows {
        text += &format!(
            "| {} | {} | {:.2} s | {:.2} s | {:.2} | {} | {:.2} s | {:.2} | {:.2} % | {} MB |\n",
            row.contestant.system,
            row.contestant.threads,
            row.fit,
            row.fit_minimum,
            row.fit / best_fit,
            row.compile.map(|compile| format!("{compile:.2} s")).unwrap_or_default(),
            row.whole,
            row.whole / best_whole,
            100.0 * row.accuracy,
            row.memory / 1_000_000
        );
    }
    let missing: Vec<(&Contestant, &String)> = contestants
        .iter()
        .filter_map(|contestant| match &contestant.outcome {
            Outcome::Missing(reason) => Some((contestant, reason)),
            Outcome::Runs(_) => None,
        })
        .collect();
    for (contestant, _) in &missing {
        text += &format!("| {} | {} | missing | | | | | | | |\n", contestant.system, contestant.threads);
    }
    if !missing.is_empty() {
        text += "\nMissing:\n\n";
    }
    for (contestant, reason) in &missing {
        text += &format!("* {}, threads: {}: {reason}\n", contestant.system, contestant.threads);
    }
    text
}

/// The middle one, or the mean of the two in the middle.
fn median(figures: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    let upper = *figures.get(figures.len() / 2)?;
    Some(if figures.len() % 2 == 1 { upper } else { f64::midpoint(figures[figures.len() / 2 - 1], upper) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(system: &str, threads: usize, compile: Option<f64>, fits: &[f64]) -> Contestant {
        let run =
            |&fit| Run { fit, compile, whole: fit + 1.0, accuracy: 0.97 + fit / 1000.0, memory: 50_400_000 };
        let outcome = Outcome::Runs(fits.iter().map(run).collect());
        Contestant { system: system.to_owned(), ours: system == "ziffer", threads, outcome }
    }

    #[test]
    fn a_row_has_medians_the_minimum_and_ratios_to_the_best_of_ziffer() {
        let missing = Contestant {
            outcome: Outcome::Missing("it ended with exit status: 1".to_owned()),
            ..ran("lost", 2, None, &[])
        };
        let contestants = [
            missing,
            ran("slow", 2, Some(0.5), &[9.0, 6.0, 7.0, 1.0]),
            ran("ziffer", 1, None, &[2.0, 4.0, 3.0]),
            ran("ziffer", 2, None, &[1.0, 1.0, 7.0]),
        ];
        let lines: Vec<String> = table(&contestants).lines().skip(2).map(str::to_owned).collect();
        assert_eq!(
            lines,
            [
                "| ziffer | 2 | 1.00 s | 1.00 s | 1.00 |  | 2.00 s | 1.00 | 97.30 % | 50 MB |",
                "| ziffer | 1 | 3.00 s | 2.00 s | 3.00 |  | 4.00 s | 2.00 | 97.30 % | 50 MB |",
                "| slow | 2 | 6.50 s | 1.00 s | 6.50 | 0.50 s | 7.50 s | 3.75 | 97.58 % | 50 MB |",
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
