//! `predict` with picture files: predictions, errors, and both together.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::idx::{IdxSet, gz, images, labels, three_classes};
use crate::sandbox::{Outcome, Sandbox, TRAIN_TINY};

/// A 24-bit BMP file of 64x48 pixels with a vertical stroke.
fn stroke(foreground: u8, background: u8) -> Vec<u8> {
    let (width, height) = (64_u32, 48_u32);
    let mut bytes = b"BM".to_vec();
    for number in [54 + width * height * 3, 0, 54, 40, width, height, 24 << 16 | 1, 0, 0, 0, 0, 0, 0] {
        bytes.extend(number.to_le_bytes());
    }
    for pixel in 0..width * height {
        let is_stroke = (8..40).contains(&(pixel / width)) && (50..54).contains(&(pixel % width));
        bytes.extend([if is_stroke { foreground } else { background }; 3]);
    }
    bytes
}

/// A model for 14x14 images in three classes, and some picture files.
fn trained() -> Sandbox {
    let sandbox = Sandbox::new();
    let part = |samples| [images(&three_classes(samples), 14, 14), labels(&three_classes(samples))];
    let ([a, b], [c, d]) = (part(60), part(20));
    IdxSet { files: [a, b, c, d] }.write(&sandbox.path("set"));
    sandbox.succeed(TRAIN_TINY);
    for (name, bytes) in [("dark.bmp", stroke(0, 255)), ("light.bmp", stroke(200, 30)), ("7", stroke(0, 255))]
    {
        fs::write(sandbox.path(name), bytes).unwrap();
    }
    fs::write(sandbox.path("empty.bmp"), stroke(255, 255)).unwrap();
    fs::write(sandbox.path("cut.bmp"), &stroke(0, 255)[..5000]).unwrap();
    fs::write(sandbox.path("text.png"), "no picture").unwrap();
    fs::write(sandbox.path("nothing.png"), "").unwrap();
    sandbox
}

fn answers(outcome: &Outcome) -> Vec<Value> {
    outcome.stdout.lines().map(|line| serde_json::from_str(line).expect("an object")).collect()
}

#[test]
fn files_give_one_json_object_per_line() {
    let sandbox = trained();
    // No data set is needed: neither flags nor a run summary name one.
    fs::rename(sandbox.path("run/model.safetensors"), sandbox.path("alone.safetensors")).unwrap();
    fs::remove_dir_all(sandbox.path("set")).unwrap();
    let outcome = sandbox.succeed("predict alone.safetensors dark.bmp light.bmp ./7 --json");
    assert_eq!(outcome.stderr, "", "{outcome:?}");
    let answers = answers(&outcome);
    let sources: Vec<_> = answers.iter().map(|answer| answer["source"].as_str().unwrap()).collect();
    assert_eq!(sources, ["dark.bmp", "light.bmp", "./7"]);
    for answer in &answers {
        let keys: Vec<_> = answer.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["digit", "probabilities", "source"]);
        assert_eq!(answer["probabilities"].as_array().unwrap().len(), 3);
        // The same stroke, dark or light.
        assert_eq!(answer["probabilities"], answers[0]["probabilities"]);
    }
}

#[test]
fn show_prints_the_input_of_the_network() {
    let sandbox = trained();
    let outcome = sandbox.succeed("predict run dark.bmp --show");
    let lines: Vec<_> = outcome.stdout.lines().collect();
    assert!(lines[0].starts_with("dark.bmp: "), "{outcome:?}");
    // 10 of 14 rows, one pixel wide, and a bar for each class.
    let stroke = format!("  {}{}", " ".repeat(2 * 7), "██");
    let blank = ["", "", "", ""];
    let shown: Vec<_> = lines[1..15].iter().map(|line| line.trim_end()).collect();
    assert_eq!(shown.iter().filter(|line| **line == stroke).count(), 10, "{outcome:?}");
    assert_eq!((&shown[..2], &shown[12..]), (&blank[..2], &blank[2..]), "{outcome:?}");
    assert_eq!(lines.len(), 1 + 14 + 3, "{outcome:?}");
    assert!(lines[15..].iter().all(|line| line.contains('%')), "{outcome:?}");
    assert!(lines[15..].iter().any(|line| line.contains('█')), "{outcome:?}");
}

#[test]
fn files_and_numbers_together() {
    let sandbox = trained();
    let arguments = "predict run dark.bmp 3 light.bmp --json --dataset custom --data-dir set";
    let answers = answers(&sandbox.succeed(arguments));
    let sources: Vec<_> = answers.iter().map(|answer| answer["source"].as_str().unwrap()).collect();
    assert_eq!(sources, ["dark.bmp", "custom/test/3", "light.bmp"]);
    assert_eq!((answers[0].get("label"), &answers[1]["label"]), (None, &Value::from(0)));
}

#[test]
fn invalid_pictures_are_refused_in_one_line() {
    let sandbox = trained();
    fs::create_dir(sandbox.path("folder.png")).unwrap();
    fs::write(sandbox.path("rows.gz"), gz(&images(&[0, 1], 14, 14))).unwrap();
    for (name, words) in [
        ("nowhere.png", "cannot read"),
        ("folder.png", "folder"),
        ("text.png", "PNG, JPEG or BMP"),
        ("nothing.png", "empty file"),
        ("cut.bmp", "BMP"),
        ("empty.bmp", "empty page"),
        ("rows.gz", "IDX file; unpack it with gzip -d"),
        ("set/t10k-labels-idx1-ubyte", "[20], expected images of shape [14, 14]"),
    ] {
        for form in ["", " --json", " --show"] {
            let outcome = sandbox.refuse(&format!("predict run {name}{form}"), &[name, words]);
            assert_eq!(outcome.code, Some(1), "{outcome:?}");
        }
    }
}

/// The file is the test set, whose images have the same numbers.
#[test]
fn all_images_of_an_idx_file() {
    let sandbox = trained();
    let file = "set/t10k-images-idx3-ubyte";
    let of_file = answers(&sandbox.succeed(&format!("predict run {file} --json")));
    let numbers: Vec<String> = (0..20).map(|row| row.to_string()).collect();
    let data = "--json --dataset custom --data-dir set";
    let of_set = answers(&sandbox.succeed(&format!("predict run {} {data}", numbers.join(" "))));
    assert_eq!((of_file.len(), of_set.len()), (20, 20));
    for (row, (a, b)) in of_file.iter().zip(&of_set).enumerate() {
        assert_eq!(a["source"], format!("{file}/{row}"));
        assert_eq!((&a["digit"], &a["probabilities"]), (&b["digit"], &b["probabilities"]));
    }
    // A truncated file gives nothing but an error.
    let bytes = fs::read(sandbox.path(file)).unwrap();
    fs::write(sandbox.path("cut"), &bytes[..bytes.len() - 1]).unwrap();
    let outcome = sandbox.refuse("predict run cut --json", &["cut", "bytes"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    // A file without images is an error, too.
    fs::write(sandbox.path("no-rows"), images(&[], 14, 14)).unwrap();
    sandbox.refuse("predict run no-rows --json", &["no-rows", "no images"]);
}

/// Each good picture has a prediction, and each bad one an error.
#[test]
fn good_and_bad_files_together() {
    let sandbox = trained();
    let outcome = sandbox.run("predict run text.png dark.bmp empty.bmp light.bmp nowhere.png --json");
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let sources: Vec<_> = answers(&outcome).iter().map(|answer| answer["source"].to_string()).collect();
    assert_eq!(sources, ["\"dark.bmp\"", "\"light.bmp\""]);
    let lines: Vec<_> = outcome.stderr.lines().collect();
    assert_eq!(lines.len(), 3, "{outcome:?}");
    for (line, name) in lines.iter().zip(["text.png", "empty.bmp", "nowhere.png"]) {
        assert!(line.starts_with(&format!("error: {name}: ")), "{line}");
    }
}

/// The same for numbers, also for a number that overflows.
#[test]
fn good_and_bad_numbers_together() {
    let sandbox = trained();
    let vast = "9".repeat(40);
    let outcome =
        sandbox.run(&format!("predict run 20 dark.bmp 19 {vast} 3 --json --dataset custom --data-dir set"));
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let sources: Vec<_> = answers(&outcome).iter().map(|answer| answer["source"].to_string()).collect();
    assert_eq!(sources, ["\"dark.bmp\"", "\"custom/test/19\"", "\"custom/test/3\""]);
    let line = |number: &str| format!("error: custom has no test image {number}, expected a number below 20");
    assert_eq!(outcome.stderr.lines().collect::<Vec<_>>(), [line("20"), line(&vast)]);
}

/// Images of 5x4 pixels are too small for a digit.
#[test]
fn a_model_of_tiny_images_refuses_picture_files() {
    let sandbox = Sandbox::with_tiny_set();
    sandbox.succeed(TRAIN_TINY);
    fs::write(sandbox.path("dark.bmp"), stroke(0, 255)).unwrap();
    let outcome = sandbox.refuse("predict run dark.bmp", &["dark.bmp", "[5, 4]", "7x7"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
}

#[cfg(unix)]
#[test]
fn names_that_are_not_utf_8() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let sandbox = trained();
    let name = OsStr::from_bytes(b"di\xFFgit\x1B[2J.bmp");
    fs::write(sandbox.path("dark.bmp").with_file_name(name), stroke(0, 255)).unwrap();
    let outcome =
        crate::sandbox::finish(sandbox.command().args(["predict", "run"]).arg(Path::new(name))).succeeded();
    assert!(outcome.stdout.starts_with("di\u{FFFD}git"), "{outcome:?}");
    assert!(!outcome.stdout.contains('\x1B'), "{outcome:?}");
}
