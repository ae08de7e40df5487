//! The confusion matrix on a terminal.

use std::fmt::Write;

use crate::confusion::ConfusionMatrix;
use crate::figures::NUMBERED;

/// The columns of a terminal.
const WIDTH: usize = 80;

/// The largest number of confusions in the list.
const LISTED: usize = 10;

/// The confusion matrix in lines of at most 80 columns, labels down and predictions across, with the recall of each class. A matrix
/// that is too wide or has more than 20 classes becomes a list of the most frequent confusions.
pub fn confusion_table(confusion: &ConfusionMatrix, names: &[String]) -> String {
    matrix(confusion, names).unwrap_or_else(|| list(confusion, names))
}

/// A name on one line, cut after `columns` characters.
fn short(name: &str, columns: usize) -> String {
    name.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).take(columns).collect()
}

fn matrix(confusion: &ConfusionMatrix, names: &[String]) -> Option<String> {
    let classes = confusion.classes();
    if classes > NUMBERED {
        return None;
    }
    // A column's head is the class's number. A row's head has the name too if it differs.
    let rows: Vec<String> = (0..classes)
        .map(|class| match &names[class] {
            name if *name == class.to_string() => name.clone(),
            name => format!("{class} {}", short(name, 16)),
        })
        .collect();
    let count = |label, prediction| match confusion.count(label, prediction) {
        0 => "·".to_owned(),
        count => count.to_string(),
    };
    let length = |text: &str| text.chars().count();
    let first = rows.iter().map(|row| length(row)).max().unwrap_or(0).max("label".len());
    let cells = (0..classes).flat_map(|label| (0..classes).map(move |prediction| (label, prediction)));
    let widest = cells.map(|(label, prediction)| length(&count(label, prediction))).max().unwrap_or(1);
    let cell = widest.max(classes.saturating_sub(1).to_string().len());
    if first + classes * (cell + 1) + " recall".len() + 1 > WIDTH {
        return None;
    }
    let mut out = format!("{:first$}", "label");
    // Writing to a string cannot fail.
    (0..classes).for_each(|class| {
        let _ = write!(out, " {class:>cell$}");
    });
    out.push_str("  recall\n");
    for (label, row) in rows.iter().enumerate() {
        let _ = write!(out, "{row:first$}");
        for prediction in 0..classes {
            let _ = write!(out, " {:>cell$}", count(label, prediction));
        }
        let recall = confusion
            .metrics(label)
            .recall
            .map_or("-".to_owned(), |recall| format!("{:.1}%", 100.0 * recall));
        let _ = writeln!(out, "  {recall:>6}");
    }
    Some(out)
}

fn list(confusion: &ConfusionMatrix, names: &[String]) -> String {
    let confused = confusion.confused();
    if confused.is_empty() {
        return "No confusions: every prediction is correct.\n".to_owned();
    }
    let mut out = "Most frequent confusions, and their fraction of the label's images:\n".to_owned();
    for (label, prediction, count) in confused.into_iter().take(LISTED) {
        let percent = 100.0 * count as f64 / confusion.metrics(label).samples as f64;
        let (label, prediction) = (short(&names[label], 24), short(&names[prediction], 24));
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{count:>7}  {percent:>5.1}%  {label} taken for {prediction}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(classes: usize) -> Vec<String> {
        (0..classes).map(|class| class.to_string()).collect()
    }

    #[test]
    fn a_table_of_three_classes_written_by_hand() {
        let mut confusion = ConfusionMatrix::new(3);
        for (label, prediction, times) in [(0, 0, 98), (0, 1, 2), (1, 1, 3)] {
            (0..times).for_each(|_| confusion.add(label, prediction));
        }
        let expected = "\
label  0  1  2  recall
0     98  2  ·   98.0%
1      ·  3  ·  100.0%
2      ·  ·  ·       -
";
        assert_eq!(confusion_table(&confusion, &names(3)), expected);
        let named = ["zero".to_owned(), "one\n".to_owned(), "2".to_owned()];
        assert!(confusion_table(&confusion, &named).contains("\n0 zero 98"), "{named:?}");
    }

    #[test]
    fn every_line_fits_a_terminal() {
        for classes in [2, 10, 20, 21, 62] {
            for times in [1, 40, 1200] {
                let mut confusion = ConfusionMatrix::new(classes);
                for label in 0..classes {
                    (0..times).for_each(|turn| confusion.add(label, (label + turn % 7) % classes));
                }
                let names: Vec<String> =
                    (0..classes).map(|class| format!("a rather long name of class {class}")).collect();
                let table = confusion_table(&confusion, &names);
                for line in table.lines() {
                    assert!(line.chars().count() <= WIDTH, "{classes} {times}: {line}");
                }
                let is_list = !table.starts_with("label");
                assert!(is_list || classes <= NUMBERED, "{table}");
            }
        }
        let mut correct = ConfusionMatrix::new(30);
        correct.add(3, 3);
        assert_eq!(confusion_table(&correct, &names(30)), "No confusions: every prediction is correct.\n");
    }
}
