//! The confusion matrix on a terminal.

use std::fmt::Write;

use crate::confusion::Confusion;
use crate::figures::NUMBERED;

/// Columns of a terminal.
const WIDTH: usize = 80;

/// Confusions that are listed at most.
const LISTED: usize = 10;

/// The matrix as lines of at most 80 columns, labels down and predictions across, with each class's recall; where that is too
/// wide, and for more than 20 classes, the most frequent confusions.
pub fn confusion_table(confusion: &Confusion, names: &[String]) -> String {
    matrix(confusion, names).unwrap_or_else(|| list(confusion, names))
}

/// A name on one line, in so many columns.
fn short(name: &str, columns: usize) -> String {
    name.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).take(columns).collect()
}

fn matrix(confusion: &Confusion, names: &[String]) -> Option<String> {
    let classes = confusion.classes();
    if classes > NUMBERED {
        return None;
    }
    // Columns are headed by the class's number, and rows by its name too where that is another one.
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

fn list(confusion: &Confusion, names: &[String]) -> String {
    let confused = confusion.confused();
    if confused.is_empty() {
        return "No confusions: every prediction is right.\n".to_owned();
    }
    let mut out = "Most frequent confusions, and their share of all pictures with that label:\n".to_owned();
    for (label, prediction, count) in confused.into_iter().take(LISTED) {
        let share = 100.0 * count as f64 / confusion.metrics(label).samples as f64;
        let (label, prediction) = (short(&names[label], 24), short(&names[prediction], 24));
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{count:>7}  {share:>5.1}%  {label} taken for {prediction}");
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
    fn two_classes_by_hand() {
        let mut confusion = Confusion::new(3);
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
    fn no_line_is_wider_than_a_terminal() {
        for classes in [2, 10, 20, 21, 62] {
            for times in [1, 40, 1200] {
                let mut confusion = Confusion::new(classes);
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
        let mut right = Confusion::new(30);
        right.add(3, 3);
        assert_eq!(confusion_table(&right, &names(30)), "No confusions: every prediction is right.\n");
    }
}
