//! `data augment`: data sets of any size from a data set.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::idx::NAMES;
use crate::sandbox::{Sandbox, end, signal};

#[test]
fn an_augmented_data_set_can_be_trained_on() {
    let sandbox = Sandbox::with_tiny_set();
    let outcome = sandbox.succeed("data augment --times 5 --dataset custom --data-dir set --out more/set");
    assert_eq!(outcome.stderr, "");
    assert!(outcome.stdout.ends_with("test images in more/set\n"), "{outcome:?}");
    let len = |folder: &str, name: &str| fs::metadata(sandbox.path(folder).join(name)).unwrap().len();
    assert_eq!(len("more/set", NAMES[0]) - 16, 5 * (len("set", NAMES[0]) - 16));
    assert_eq!(len("more/set", NAMES[1]) - 8, 5 * (len("set", NAMES[1]) - 8));
    for name in &NAMES[2..] {
        let read = |folder: &str| fs::read(sandbox.path(folder).join(name)).unwrap();
        assert_eq!(read("more/set"), read("set"));
    }
    sandbox.succeed("train --dataset custom --data-dir more/set --out run --epochs 1 --shuffle blocks");

    // The same seed gives the same files, another seed different ones.
    let other = "data augment --times 5 --dataset custom --data-dir set --threads 1 --out";
    sandbox.succeed(&format!("{other} again"));
    sandbox.succeed(&format!("{other} other --seed 1"));
    let read = |folder: &str| fs::read(sandbox.path(folder).join(NAMES[0])).unwrap();
    assert_eq!(read("again"), read("more/set"));
    assert_ne!(read("other"), read("again"));
    assert_eq!(fs::read_dir(sandbox.path("other")).unwrap().count(), 4);
}

#[test]
fn existing_files_are_not_replaced() {
    let sandbox = Sandbox::with_tiny_set();
    let augment = "data augment --times 2 --dataset custom --data-dir set --out";
    sandbox.refuse(&format!("{augment} set --force"), &["set: the folder of the source data set", "--out"]);
    sandbox.refuse(&format!("{augment} set/../set"), &["the folder of the source data set"]);
    sandbox.succeed(&format!("{augment} more"));
    sandbox.refuse(&format!("{augment} more"), &["train-images-idx3-ubyte: already exists", "--force"]);
    // A compressed file counts as part of a data set, too.
    fs::rename(sandbox.path("more/train-images-idx3-ubyte"), sandbox.path("more/t10k-images-idx3-ubyte.gz"))
        .unwrap();
    for file in ["train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"] {
        fs::remove_file(sandbox.path("more").join(file)).unwrap();
    }
    sandbox.refuse(&format!("{augment} more"), &["t10k-images-idx3-ubyte.gz: already exists"]);
    sandbox.succeed(&format!("{augment} more --force --seed 3"));
    assert_eq!(fs::read_dir(sandbox.path("more")).unwrap().count(), 4);
    fs::write(sandbox.path("file"), "precious").unwrap();
    sandbox.refuse(&format!("{augment} file"), &["file: cannot create the folder"]);
}

#[test]
fn invalid_flags_are_refused() {
    let sandbox = Sandbox::with_tiny_set();
    let augment = "data augment --dataset custom --data-dir set --out more";
    for (more, words) in [
        ("", &["--times"][..]),
        ("--times 0", &["--times", "at least 1"]),
        ("--times 2 --validation-split 1", &["--validation-split"]),
        ("--times 2 --seed -1", &["--seed", "from 0 to"]),
        ("--times 99999999999999999999", &["--times", "too large"]),
        ("--times 2 --strength 9", &["--strength", "0 to 6"]),
        ("--times 2 --strength nan", &["--strength", "0 to 6"]),
    ] {
        let outcome = sandbox.refuse(&format!("{augment} {more}"), words);
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        assert!(!sandbox.path("more").exists());
    }
    sandbox
        .refuse(&format!("{augment} --times 9999999999"), &["train-images-idx3-ubyte", "impossible sizes"]);
    sandbox.succeed(&format!("{augment} --times 2 --strength 6"));
}

/// Writes a data set too large to finish.
const LONG: &str = "data augment --times 10000000 --dataset custom --data-dir set --out more";

#[cfg(unix)]
#[test]
fn an_interrupted_or_killed_command_leaves_no_files() {
    let sandbox = Sandbox::with_tiny_set();
    let more = sandbox.path("more");
    let names = || -> BTreeSet<OsString> {
        fs::read_dir(&more).into_iter().flatten().map(|entry| entry.unwrap().file_name()).collect()
    };
    for (name, code) in [("KILL", None), ("INT", Some(130)), ("TERM", Some(130))] {
        let mut command = sandbox.command();
        command.args(LONG.split_whitespace()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let before = names();
        let child = command.spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        // Until it has created two files.
        while names().difference(&before).count() != 2 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        signal(&child, name);
        let outcome = end(child);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (code, ""), "{outcome:?}");
        if code.is_some() {
            assert!(outcome.stderr.starts_with("interrupted after "), "{outcome:?}");
            assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
            // The files of the killed process are removed, too.
            assert_eq!(names(), BTreeSet::new());
        }
    }
}
