//! The report of a run: its page agrees with the summary, is self-contained, and can be regenerated.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::html;
use crate::idx::{IdxSet, TEST_LABELS, labels};
use crate::sandbox::{Sandbox, TRAIN_TINY, finish, summary};

/// The files of a report.
const FILES: [&str; 4] = ["report.html", "history.csv", "confusion.svg", "curves.svg"];

/// The flag that names the tiny data set.
const OF_TINY: &str = "--data-dir set";

/// A run with mistakes on the test set: every fifth label is changed.
fn trained() -> Sandbox {
    let sandbox = Sandbox::new();
    let wrong: Vec<u8> =
        (0..20_u8).map(|sample| if sample % 5 == 0 { (sample + 1) % 3 } else { sample % 3 }).collect();
    IdxSet::tiny().with(TEST_LABELS, labels(&wrong)).write(&sandbox.path("set"));
    sandbox.succeed(TRAIN_TINY);
    sandbox
}

/// Parses a page strictly.
fn page(path: &Path) -> Vec<html::Element> {
    let text = fs::read_to_string(path).expect("a page");
    let elements = html::elements(&text);
    html::assert_self_contained(&text, &elements);
    html::assert_accessible(&elements);
    elements
}

/// The values of a summary by the keys of pages: text unquoted, other values as JSON, without null.
fn values(value: &Value, prefix: &str, into: &mut BTreeMap<String, String>) {
    for (key, value) in value.as_object().expect("an object") {
        let key = format!("{prefix}{key}");
        match value {
            Value::Null => {}
            Value::Object(_) => values(value, &format!("{key}."), into),
            Value::Array(items) if key.starts_with("history.") => {
                into.extend(
                    items
                        .iter()
                        .enumerate()
                        .map(|(epoch, item)| (format!("{key}.{epoch}"), item.to_string())),
                );
            }
            Value::String(text) => drop(into.insert(key, text.clone())),
            _ => drop(into.insert(key, value.to_string())),
        }
    }
}

#[test]
fn the_page_agrees_with_the_summary() {
    let sandbox = trained();
    let run = sandbox.path("run");
    let elements = page(&run.join("report.html"));
    let shown = html::data(&elements);
    let summary = summary(&run);
    let mut expected = BTreeMap::new();
    values(&summary, "", &mut expected);
    // 2 epochs of 5 numbers, and the other values of a summary.
    assert!(expected.len() >= 10 + 18, "{expected:?}");
    for (key, value) in &expected {
        let shown = shown.get(key).unwrap_or_else(|| panic!("{key} is missing"));
        match value.parse::<f64>() {
            Ok(number) => assert_eq!(shown.parse::<f64>().expect("a number"), number, "{key}"),
            Err(_) => assert_eq!(shown, value, "{key}"),
        }
    }
    let started = summary["started"].as_str().unwrap();
    assert!(started.len() == 20 && started.starts_with("20") && started.ends_with('Z'), "{started}");

    let compiler = summary["compiler"].as_str().unwrap();
    assert!(compiler.starts_with("rustc 1."), "{compiler}");

    // The matrix has all samples of the test set, and its diagonal agrees with the accuracy.
    let cells = |class: &str| -> usize {
        let of_class = |element: &&html::Element| {
            element.name == "td" && element.attributes.get("class").is_some_and(|of| of == class)
        };
        elements.iter().filter(of_class).map(|cell| cell.text.parse::<usize>().unwrap()).sum()
    };
    let (correct, wrong) = (cells("correct"), cells("wrong"));
    assert_eq!(correct + wrong, 20);
    assert!(wrong > 0, "no mistakes");
    assert_eq!(correct as f64 / 20.0, summary["test_accuracy"].as_f64().unwrap());
    let gallery = elements.iter().filter(|element| element.attributes.contains_key("data-sample"));
    assert_eq!(gallery.count(), wrong);

    let csv = fs::read_to_string(run.join("history.csv")).unwrap();
    let lines: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!((lines.len(), lines[0][0]), (3, "epoch"));
    for (column, key) in lines[0].iter().enumerate().skip(1) {
        for epoch in 0..2 {
            let number = summary["history"][key][epoch].as_f64().unwrap();
            assert_eq!(lines[epoch + 1][column].parse::<f64>().unwrap(), number, "{key}");
        }
    }
    for svg in ["confusion.svg", "curves.svg"] {
        assert!(fs::read_to_string(run.join(svg)).unwrap().starts_with("<?xml version=\"1.0\""));
    }
}

#[test]
fn a_run_that_is_named_twice_counts_once() {
    let sandbox = trained();
    let outcome = sandbox.succeed("report run run/ run/../run --data-dir set");
    assert_eq!(outcome.stdout, format!("Wrote {}\n", Path::new("run/report.html").display()));
    assert!(!sandbox.path("comparison.html").exists());
}

#[test]
fn train_mentions_the_report_in_one_line_unless_on_a_terminal() {
    let sandbox = Sandbox::with_tiny_set();
    let outcome = sandbox.succeed(TRAIN_TINY);
    let lines: Vec<_> = outcome.stderr.lines().collect();
    assert_eq!(lines.len(), 3, "two epochs and where all lies: {outcome:?}");
    assert_eq!(lines[2], "Saved the model, its summary and its report to run");
    assert_eq!(outcome.stdout.lines().count(), 1, "{outcome:?}");
}

#[test]
fn a_regenerated_report_is_the_same() {
    let sandbox = trained();
    let read = || FILES.map(|name| fs::read(sandbox.path("run").join(name)).unwrap());
    let first = read();
    for name in FILES {
        fs::remove_file(sandbox.path("run").join(name)).unwrap();
    }
    let outcome = sandbox.succeed(&format!("report run {OF_TINY}"));
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("Wrote run/report.html\n", ""));
    assert!(read() == first, "the same files");
}

#[test]
fn several_runs_are_compared() {
    let sandbox = trained();
    sandbox.succeed(&TRAIN_TINY.replace("--out run", "--out more/run --seed 7"));
    sandbox
        .succeed(&TRAIN_TINY.replace("--out run --epochs 2", "--out long --epochs 4 --validation-split 0"));
    let outcome = sandbox.succeed(&format!("report run more/run long {OF_TINY}"));
    assert_eq!(
        outcome.stdout,
        "Wrote run/report.html\nWrote more/run/report.html\nWrote long/report.html\nWrote comparison.html\n"
    );
    let elements = page(&sandbox.path("comparison.html"));
    let rows: Vec<_> = elements.iter().filter_map(|element| element.attributes.get("data-run")).collect();
    assert_eq!(rows, ["run", "more/run", "long"]);
    let values = |key: &str| -> Vec<String> {
        let of_key =
            |element: &&html::Element| element.attributes.get("data-key").is_some_and(|of| of == key);
        elements.iter().filter(of_key).map(|element| element.attributes["value"].clone()).collect()
    };
    assert_eq!(values("seed"), ["0", "7", "0"]);
    assert_eq!(values("epochs"), ["2", "2", "4"]);
    assert_eq!(values("batch_size"), Vec::<String>::new(), "what is the same is left out");
    for (run, accuracy) in rows.iter().zip(values("test_accuracy")) {
        let expected = summary(&sandbox.path(run))["test_accuracy"].as_f64().unwrap();
        assert_eq!(accuracy.parse::<f64>().unwrap(), expected, "{run}");
    }
    sandbox.succeed(&format!("report run long {OF_TINY} --out other.html"));
    assert!(sandbox.path("other.html").is_file());
}

#[test]
fn folders_that_are_not_runs_are_refused_before_anything_is_written() {
    let sandbox = trained();
    fs::create_dir(sandbox.path("empty")).unwrap();
    sandbox.refuse(&format!("report run empty {OF_TINY}"), &["empty", "not a run folder", "summary.json"]);
    sandbox.refuse(&format!("report nowhere {OF_TINY}"), &["nowhere", "not a run folder"]);
    sandbox.refuse(&format!("report run/model.safetensors {OF_TINY}"), &["not a run folder"]);
    // It looks for the data set in its former folder.
    fs::rename(sandbox.path("set"), sandbox.path("moved")).unwrap();
    sandbox.refuse("report run", &["set: no such folder"]);
    fs::rename(sandbox.path("moved"), sandbox.path("set")).unwrap();
    let outcome = sandbox.refuse(&format!("report run {OF_TINY} --out page.html"), &["--out", "several"]);
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    sandbox.succeed(&TRAIN_TINY.replace("--out run", "--out more"));
    sandbox.refuse(&format!("report run more {OF_TINY} --out none/page.html"), &["none/page.html"]);

    // The data set of another run.
    IdxSet::tiny().write(&sandbox.path("other"));
    sandbox.refuse("report run --data-dir other", &["run", "other", "accuracy", "--data-dir"]);
    IdxSet::black().write(&sandbox.path("black"));
    let three = fs::read(sandbox.path("set/t10k-images-idx3-ubyte")).unwrap();
    fs::write(sandbox.path("other/t10k-images-idx3-ubyte"), &three[..three.len() - 1]).unwrap();
    sandbox.refuse("report run --data-dir other", &["other/t10k-images-idx3-ubyte"]);

    let path = sandbox.path("run/summary.json");
    let text = fs::read_to_string(&path).unwrap();
    for (old, new, words) in [
        ("\"test_loss\"", "\"loss\"", &["run/summary.json", "test_loss", "train the run again"][..]),
        ("{", "", &["run/summary.json"]),
        (
            "\"seconds\": [",
            "\"seconds\": [1.0, ",
            &["run/summary.json", "3 numbers of seconds", "expected 2"],
        ),
        ("\"custom\"", "\"cifar\"", &["run/summary.json", "cifar"]),
        ("weights_sha256\": \"", "weights_sha256\": \"0", &["run/model.safetensors", "not the weights"]),
    ] {
        assert!(text.contains(old));
        fs::write(&path, text.replacen(old, new, 1)).unwrap();
        sandbox.refuse(&format!("report run {OF_TINY}"), words);
    }
    fs::remove_file(sandbox.path("run/model.safetensors")).unwrap();
    fs::write(&path, text).unwrap();
    sandbox.refuse(&format!("report run {OF_TINY}"), &["run/model.safetensors"]);
}

#[test]
fn summaries_of_older_versions_are_read() {
    let sandbox = trained();
    let path = sandbox.path("run/summary.json");
    let mut old: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    for key in ["started", "compiler", "host"] {
        assert!(old.as_object_mut().unwrap().remove(key).is_some_and(|value| !value.is_null()), "{key}");
    }
    fs::write(&path, old.to_string()).unwrap();
    sandbox.succeed(&format!("report run {OF_TINY}"));
    let shown = html::data(&page(&sandbox.path("run/report.html")));
    assert!(shown.contains_key("weights_sha256") && !shown.contains_key("started"));
}

#[test]
fn a_report_that_cannot_be_written_does_not_fail_the_run() {
    let sandbox = Sandbox::with_tiny_set();
    fs::create_dir_all(sandbox.path("run/report.html/full")).unwrap();
    let outcome = sandbox.succeed(TRAIN_TINY);
    assert!(outcome.stderr.contains("Saved the model and its summary to run\n"), "{outcome:?}");
    let last = outcome.stderr.lines().last().unwrap();
    assert!(last.starts_with("cannot write the report: run/report.html: cannot write"), "{outcome:?}");
    assert!(outcome.stdout.starts_with("Test Accuracy: "), "{outcome:?}");
    sandbox.succeed("evaluate run --dataset custom --data-dir set");
    sandbox.refuse(&format!("report run {OF_TINY}"), &["run/report.html", "cannot write"]);
}

/// `script` runs a command on a terminal.
#[cfg(target_os = "linux")]
#[test]
fn on_a_terminal_training_ends_with_the_matrix_and_the_report() {
    let sandbox = trained();
    let mut script = std::process::Command::new("script");
    let train = format!("'{}' {TRAIN_TINY} --force", env!("CARGO_BIN_EXE_ziffer"));
    script.args(["--quiet", "--return", "--command", &train, "/dev/null"]);
    let mut script = sandbox.prepare(script);
    if script.output().is_err() {
        return crate::sandbox::skip("a terminal", "there is no program `script`");
    }
    let outcome = finish(&mut script).succeeded();
    let lines: Vec<_> = outcome.stdout.lines().map(str::trim_end).collect();
    let end = &lines[lines.len() - 7..];
    assert!(end[0].ends_with("%") && end[0].contains("Test Accuracy: "), "{end:?}");
    assert_eq!((end[1], end[6]), ("", "Report: run/report.html"), "{outcome:?}");
    assert!(end[2].starts_with("label ") && end[2].ends_with("recall"), "{end:?}");
    for (class, line) in end[3..6].iter().enumerate() {
        assert!(line.starts_with(&class.to_string()) && line.ends_with('%'), "{end:?}");
    }
    // A terminal without progress bars shows the same lines as a file.
    let outcome = finish(script.env("TERM", "dumb")).succeeded();
    let epochs: Vec<_> = outcome.stdout.lines().filter(|line| line.starts_with("Epoch ")).collect();
    assert_eq!(epochs.len(), 2, "{outcome:?}");
    assert!(epochs.iter().all(|line| line.contains("/step - accuracy: ")), "{epochs:?}");
}
