//! Pages of runs of many kinds, read by a strict parser. They stay in the target folder for inspection.
#![allow(clippy::unwrap_used, reason = "helpers of tests are outside of what clippy.toml allows")]

#[path = "support/html.rs"]
mod html;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use html::{Element, assert_accessible, assert_self_contained, data, elements};
use ndarray::Array2;
use ziffer_report::{Assessment, Fact, ReportError, Run, RunHistory, RunReport, comparison};

/// A run with all that it borrows.
struct Case {
    name: String,
    names: Vec<String>,
    assessment: Assessment,
    kernel: Option<Array2<f32>>,
    history: [Vec<f64>; 6],
    settings: Vec<Fact>,
}

impl Case {
    /// A run with images of this shape. The prediction of every `wrong`th sample is wrong; of none if `wrong` is 0.
    fn new(classes: usize, shape: &[usize], wrong: usize) -> Self {
        let inputs: usize = shape.iter().product();
        let mut assessment = Assessment::new(classes, shape);
        for sample in 0..classes * 30 {
            let label = sample % classes;
            let is_wrong = wrong > 0 && sample % wrong == 0;
            let prediction = if is_wrong { (label + 1 + sample / wrong % 5) % classes } else { label };
            let rest = 0.4 / classes as f32;
            let mut probabilities = vec![rest; classes];
            probabilities[prediction] = 0.55 + (sample % 40) as f32 / 100.0;
            let pixels: Vec<u8> = (0..inputs).map(|pixel| (pixel * 5 + sample * 3) as u8).collect();
            assessment.add(label, &probabilities, &pixels).unwrap();
        }
        Self {
            name: format!("{classes} classes"),
            names: (0..classes).map(|class| class.to_string()).collect(),
            assessment,
            kernel: Some(Array2::from_shape_fn((inputs, 20), |(i, u)| ((i * (u + 3)) as f32).sin())),
            history: [
                vec![0.5, 0.3, 0.2],
                vec![0.8, 0.9, 0.95],
                vec![0.4, 0.35, 0.3],
                vec![0.85, 0.9, 0.92],
                vec![1.0; 3],
                vec![0.001, 0.0005, 0.000_25],
            ],
            settings: Vec::new(),
        }
    }

    fn run(&self) -> Run<'_> {
        let [loss, accuracy, val_loss, val_accuracy, seconds, learning_rate] = &self.history;
        Run {
            name: &self.name,
            subject: "made up",
            results: Vec::new(),
            settings: self.settings.clone(),
            origin: Vec::new(),
            history: RunHistory { loss, accuracy, val_loss, val_accuracy, seconds, learning_rate },
            class_names: &self.names,
            assessment: &self.assessment,
            kernel: self.kernel.as_ref().map(|kernel| kernel.view()),
        }
    }

    /// The report, after the parser has read its page and its figures.
    #[track_caller]
    fn report(&self, file: &str) -> (RunReport, Vec<Element>) {
        let report = RunReport::new(&self.run()).unwrap();
        let elements = read(&report.html, file);
        for svg in [&report.curves_svg, &report.confusion_svg] {
            let inner = svg.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>").unwrap();
            let as_page = format!("<!DOCTYPE html>{inner}");
            let elements = html::elements(&as_page);
            assert_self_contained(&as_page, &elements);
            assert!(elements.iter().all(|element| {
                !element.attributes.values().any(|value| value.contains("NaN") || value.contains("inf"))
            }));
        }
        assert_eq!(report.history_csv.lines().count(), 1 + self.history[0].len());
        assert!(report.html.len() < 500_000, "{}", report.html.len());
        (report, elements)
    }
}

/// Parses a page, and keeps it for inspection.
#[track_caller]
fn read(page: &str, file: &str) -> Vec<Element> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(file), page).unwrap();
    let elements = elements(page);
    assert_self_contained(page, &elements);
    assert_accessible(&elements);
    elements
}

fn text_of(elements: &[Element], name: &str) -> Vec<String> {
    elements.iter().filter(|element| element.name == name).map(|element| element.text.clone()).collect()
}

fn number(data: &BTreeMap<String, String>, key: &str) -> f64 {
    data[key].parse().unwrap()
}

#[test]
fn a_page_has_the_numbers_of_its_run() {
    // Every 10th of 300 predictions is wrong. These samples are all of class 0.
    let case = Case::new(10, &[28, 28], 10);
    let (report, elements) = case.report("ten.html");
    let values = data(&elements);
    assert_eq!(number(&values, "recall.0"), 0.0);
    assert_eq!(number(&values, "recall.9"), 1.0);
    // The wrong predictions are 1 to 5 in turn: 6 each, beside 30 correct ones.
    assert_eq!(number(&values, "precision.3"), 30.0 / 36.0);
    assert_eq!(number(&values, "f1.3"), 60.0 / 66.0);
    assert_eq!(number(&values, "recall.mean"), 0.9);
    let keys = ["loss", "accuracy", "val_loss", "val_accuracy", "seconds", "learning_rate"];
    for (key, series) in keys.iter().zip(&case.history) {
        for (epoch, &value) in series.iter().enumerate() {
            assert_eq!(number(&values, &format!("history.{key}.{epoch}")), value);
        }
    }
    let counts: usize = elements
        .iter()
        .filter(|element| {
            element.name == "td"
                && ["correct", "wrong"]
                    .iter()
                    .any(|class| element.attributes.get("class").is_some_and(|of| of == class))
        })
        .map(|element| element.text.parse::<usize>().unwrap())
        .sum();
    assert_eq!(counts, 300);
    let figures: Vec<_> =
        elements.iter().filter(|element| element.attributes.contains_key("data-sample")).collect();
    assert_eq!(figures.len(), 30);
    assert!(figures.iter().all(|figure| figure.text.starts_with("0 taken for ")), "{figures:?}");
    assert!(report.html.contains("The weights of all 20 units"));
    // Neither colors nor sight are necessary.
    assert!(report.html.contains("aria-label=\"Loss by epoch, training and validation\""));
    assert!(report.curves_svg.contains("stroke-dasharray"));
}

#[test]
fn runs_of_many_shapes_and_class_counts() {
    for (classes, shape, file) in [
        (2, &[5, 4][..], "two.html"),
        (62, &[28, 28], "many.html"),
        (3, &[7], "flat.html"),
        (4, &[300, 200], "large.html"),
        (5, &[8, 8, 3], "deep.html"),
    ] {
        let (report, elements) = Case::new(classes, shape, 7).report(file);
        let heads = elements.iter().filter(|element| element.name == "svg").count();
        assert_eq!(heads, if classes > 20 { 4 } else { 3 }, "{file}");
        assert!(report.confusion_svg.contains(&format!("Confusion matrix of {classes} classes")));
    }
    // More classes than a table lists.
    let (report, elements) = Case::new(500, &[4, 4], 9).report("hundreds.html");
    assert!(report.html.contains("The 100 classes with the lowest F1, of 500"));
    assert_eq!(text_of(&elements, "h2").len(), 6);
}

#[test]
fn a_run_without_mistakes() {
    let (report, elements) = Case::new(10, &[6, 6], 0).report("right.html");
    assert!(report.html.contains("None: every test image is classified correctly."));
    assert!(report.html.contains("There are no confusions."));
    assert_eq!(number(&data(&elements), "f1.mean"), 1.0);
}

#[test]
fn a_run_of_one_epoch_without_validation() {
    let mut case = Case::new(10, &[6, 6], 11);
    case.history = [vec![0.25], vec![0.9], vec![], vec![], vec![0.125], vec![]];
    case.kernel = None;
    let (report, elements) = case.report("one_epoch.html");
    assert!(report.html.contains("There is no validation set") && !report.curves_svg.contains("validation"));
    assert!(!text_of(&elements, "h2").contains(&"First layer".to_owned()));
    assert_eq!(report.history_csv, "epoch,loss,accuracy,seconds\n1,0.25,0.9,0.125\n");
    assert_eq!(report.curves_svg.matches("epoch 1: 0.2500").count(), 1);
}

#[test]
fn a_run_that_diverged() {
    let mut case = Case::new(3, &[4, 4], 5);
    case.history[0] = vec![1e30, f64::NAN, f64::INFINITY];
    case.history[2] = vec![f64::NAN; 3];
    case.assessment.add(1, &[f32::NAN; 3], &[7; 16]).unwrap();
    case.kernel = Some(Array2::from_elem((16, 3), f32::NAN));
    let (report, _) = case.report("diverged.html");
    assert!(report.html.contains("One prediction with a confidence of NaN is left out."));
    assert!(report.history_csv.contains("2,NaN,0.9,NaN,"));
    case.history[0] = vec![f64::NAN; 3];
    let (report, _) = case.report("nothing_finite.html");
    assert!(report.curves_svg.contains("no finite numbers"));
}

#[test]
fn a_run_of_many_epochs() {
    let mut case = Case::new(10, &[6, 6], 11);
    case.history = [0.5, 0.9, 0.6, 0.8, 1.0, 0.01]
        .map(|value| (0..20_000).map(|epoch| value / (1.0 + epoch as f64)).collect());
    let (_, elements) = case.report("long.html");
    let values = data(&elements);
    assert_eq!(number(&values, "history.loss.19999"), 0.5 / 20_000.0);
    assert!(!values.contains_key("history.loss.0"));
}

#[test]
fn text_from_outside_stays_text() {
    let hostile = "</title></svg></table><script>alert(\"1\")</script><img src=x onerror='a()'>&amp;\u{1b}[2J\0\u{202e}";
    let mut case = Case::new(4, &[4, 4], 5);
    case.name = hostile.to_owned();
    case.names = (0..4).map(|class| format!("{class}{hostile}")).collect();
    case.settings = vec![Fact {
        key: hostile.into(),
        name: hostile.into(),
        value: hostile.into(),
        shown: hostile.into(),
    }];
    let (_, elements) = case.report("hostile.html");
    // Characters that a page may not have are replaced.
    let shown = hostile.replace(['\u{1b}', '\0', '\u{202e}'], "\u{fffd}");
    assert_eq!(text_of(&elements, "h1"), std::slice::from_ref(&shown));
    assert_eq!(data(&elements)[&shown], shown);
    let page = comparison(&[case.run(), case.run()]).unwrap();
    assert!(text_of(&read(&page, "hostile_runs.html"), "th").contains(&shown));
}

#[test]
fn runs_side_by_side() {
    let fact = |value: &str| Fact {
        key: "seed".into(),
        name: "Seed".into(),
        value: value.into(),
        shown: format!("no. {value}"),
    };
    let same = Fact { key: "epochs".into(), name: "Epochs".into(), value: "3".into(), shown: "3".into() };
    let mut cases: Vec<Case> = (1..=9).map(|wrong| Case::new(10, &[5, 5], wrong + 2)).collect();
    for (index, case) in cases.iter_mut().enumerate() {
        case.name = format!("runs/{index}");
        case.settings = vec![same.clone(), fact(&index.to_string())];
        case.history[0].iter_mut().for_each(|loss| *loss += index as f64 / 10.0);
        case.history[2].iter_mut().for_each(|loss| *loss += index as f64 / 20.0);
    }
    // A run of another length, without a validation set.
    cases[4].history = [vec![0.3; 5], vec![0.9; 5], vec![], vec![], vec![1.0; 5], vec![]];
    let runs: Vec<Run<'_>> = cases.iter().map(Case::run).collect();
    let page = comparison(&runs).unwrap();
    assert!(!page.contains("<title></title>") && !page.contains("aria-label=\"\""), "an empty title");
    let elements = read(&page, "comparison.html");
    assert_eq!(text_of(&elements, "h1"), ["9 runs side by side"]);
    let rows: Vec<_> = elements.iter().filter_map(|element| element.attributes.get("data-run")).collect();
    assert_eq!(rows.len(), 9);
    assert_eq!(rows[8], "runs/8");
    let heads = text_of(&elements, "th");
    assert!(heads.contains(&"Seed".to_owned()) && !heads.contains(&"Epochs".to_owned()), "{heads:?}");
    let seeds: Vec<_> = elements
        .iter()
        .filter(|element| element.name == "data")
        .map(|element| element.text.clone())
        .collect();
    assert_eq!(seeds[..3], ["no. 0", "no. 1", "no. 2"]);
    // Four charts, and a swatch of each run.
    assert_eq!(elements.iter().filter(|element| element.name == "svg").count(), 4 + 9);
}

#[test]
fn the_best_run_is_marked() {
    let mut cases: Vec<Case> = [4, 6, 9].map(|wrong| Case::new(3, &[5, 5], wrong)).into();
    for (index, case) in cases.iter_mut().enumerate() {
        case.name = format!("runs/{index}");
    }
    let fact = |key: &str, value: &str| Fact {
        key: key.into(),
        name: key.into(),
        value: value.into(),
        shown: value.into(),
    };
    let mut runs: Vec<Run<'_>> = cases.iter().map(Case::run).collect();
    for (run, values) in runs.iter_mut().zip([["0.9", "0.2", "7"], ["0.8", "0.1", "9"], ["0.9", "0.3", "5"]])
    {
        let keys = ["test_accuracy", "test_loss", "parameters"];
        run.results = keys.iter().zip(values).map(|(key, value)| fact(key, value)).collect();
    }
    let elements = read(&comparison(&runs).unwrap(), "best.html");
    let best: Vec<_> = elements
        .iter()
        .filter(|element| element.name == "strong" && element.path.contains(&"table".to_owned()))
        .map(|element| element.text.clone())
        .collect();
    // The parameters have no best value. Then the F1 of three classes, of which the last run has the most.
    assert_eq!(best[..3], ["0.9", "0.1", "0.9"]);
    assert_eq!(best.len(), 3 + 3, "{best:?}");
    // Every run's name is at the ends of its curves.
    let labels = text_of(&elements, "text");
    assert_eq!(labels.iter().filter(|label| *label == "runs/2").count(), 4, "{labels:?}");
}

#[test]
fn parts_that_do_not_fit_together_are_refused() {
    let case = Case::new(3, &[2, 2], 2);
    let refused = |run: Run<'_>| RunReport::new(&run).unwrap_err().to_string();
    let names = &case.names[..2];
    assert_eq!(refused(Run { class_names: names, ..case.run() }), "2 class names, expected 3");
    let kernel = Array2::zeros((5, 2));
    assert_eq!(
        refused(Run { kernel: Some(kernel.view()), ..case.run() }),
        "a first layer with 5 inputs, expected 4, one for each pixel"
    );
    let empty = Assessment::new(3, &[2, 2]);
    assert_eq!(RunReport::new(&Run { assessment: &empty, ..case.run() }), Err(ReportError::Empty));
    assert!(comparison(&[Run { assessment: &empty, ..case.run() }]).is_err());
}
