//! The console blocks of the README and of the guide run as printed, and print what is printed there.
//!
//! The commands of each document run in a folder of its own, in their order. `cargo xtask` stands for the program here. Where
//! no output is shown, training takes one epoch.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::markdown::{Block, Document, documents, root};

/// Commands that do not run here: words that they contain, and the reason.
const NOT_RUN: [(&str, &str); 9] = [
    ("cargo install ", "builds the program"),
    ("cargo run ", "builds a package: the programs of the guide have tests of their own"),
    ("cargo test ", "builds a package"),
    (" serve", "runs until Ctrl-C"),
    (" --serve", "runs until Ctrl-C"),
    (" --dataset fashion-mnist", "needs the internet"),
    (" augment --times 20", "writes 0.94 GB"),
    (" --data-dir larger", "trains on these"),
    (" --data-dir folder", "needs a data set of the reader's own"),
];

/// A command of a document, and the output that is shown below it.
struct Shown<'a> {
    place: String,
    command: &'a str,
    output: Vec<&'a str>,
}

fn shown<'a>(blocks: &'a [Block<'a>]) -> Vec<Shown<'a>> {
    let mut commands: Vec<Shown<'_>> = Vec::new();
    for block in blocks.iter().filter(|block| block.language == "console") {
        for line in &block.lines {
            match line.strip_prefix("$ ") {
                Some(command) => {
                    commands.push(Shown { place: block.place.clone(), command, output: Vec::new() });
                }
                None => commands.last_mut().unwrap().output.push(line),
            }
        }
    }
    commands
}

/// The line without what differs between machines: times.
fn without_times(line: &str) -> String {
    let is_time = |word: &str| {
        let number = ["us/step", "ms/step", "s"].iter().find_map(|unit| word.strip_suffix(unit));
        number.is_some_and(|number| number.parse::<f64>().is_ok())
    };
    let words: Vec<&str> = line.split(' ').map(|word| if is_time(word) { "TIME" } else { word }).collect();
    words.join(" ").trim_end().to_owned()
}

/// Whether `lines` are in `output`, in their order.
fn is_in(lines: &[&str], output: &str) -> bool {
    let mut rest = output.lines().map(without_times);
    lines.iter().map(|line| without_times(line)).all(|line| rest.any(|other| other == line))
}

/// Writes each recipe that the line before its block names, as in "`larger.toml`:".
fn write_recipes(document: &Document, folder: &Path) {
    let mut named = None;
    let mut blocks = document.blocks().into_iter();
    let mut in_block = false;
    for line in document.text.lines() {
        if line.starts_with("```") {
            in_block = !in_block;
            if in_block {
                let block = blocks.next().unwrap();
                if let (Some(name), "toml") = (named.take(), block.language) {
                    fs::write(folder.join(name), block.lines.join("\n")).unwrap();
                }
            }
        } else if !in_block && !line.is_empty() {
            let name = line.strip_suffix("`:").and_then(|line| line.rsplit('`').next());
            named = name.filter(|name| name.ends_with(".toml"));
        }
    }
}

/// What `command` means in a shell here: the program in place of `cargo xtask`.
fn in_shell(shown: &Shown<'_>) -> String {
    let program = format!("'{}'", env!("CARGO_BIN_EXE_ziffer"));
    let mut command = shown.command.to_owned();
    // The instruction set of the example may be missing; the bits are those of any other.
    if !cfg!(target_arch = "x86_64") || !has_avx2() {
        command = command.replace("ZIFFER_ISA=avx2 ", "");
    }
    if shown.output.is_empty() && command.contains(" train") && !command.contains("--threads") {
        command = match command.split_once("--epochs ") {
            Some((start, rest)) => {
                let rest = rest.split_once(' ').map_or("", |(_, rest)| rest);
                format!("{start}--epochs 1 {rest}")
            }
            None if command == "cargo xtask train" || command.contains("ZIFFER_ISA") => command,
            None => format!("{command} --epochs 1"),
        };
    }
    match command.strip_prefix("ziffer ") {
        Some(arguments) => format!("{program} {arguments}"),
        None => command.replace("cargo xtask ", &format!("{program} ")),
    }
}

fn has_avx2() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Runs a line in `folder` and returns both of its streams, messages first.
fn run(line: &str, folder: &Path, cache: &Path, place: &str) -> String {
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(folder).env("XDG_CACHE_HOME", cache).env_remove("ZIFFER_MIRROR");
    let output = command.output().unwrap();
    let [stderr, stdout] = [output.stderr, output.stdout].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(output.status.success(), "{place}: {line}\n{stderr}{stdout}");
    stderr + &stdout
}

#[test]
fn console_blocks_run_as_printed() {
    let cache = tempfile::tempdir().unwrap();
    let tutorial = format!("'{}' train", env!("CARGO_BIN_EXE_ziffer"));
    let mut left_out = BTreeSet::new();
    let (mut commands, mut with_output) = (0, 0);
    for document in documents() {
        let is_guide =
            document.name.starts_with("docs/guide/") && !document.name.starts_with("docs/guide/de/");
        let blocks = document.blocks();
        let mut run_here = shown(&blocks);
        if document.name != "README.md" && !is_guide {
            continue;
        }
        run_here.retain(|shown| {
            let reason = NOT_RUN.iter().find(|(words, _)| shown.command.contains(words));
            left_out.extend(reason.map(|(words, _)| *words));
            reason.is_none()
        });
        if run_here.is_empty() {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        symlink(root().join("data"), folder.path().join("data")).unwrap();
        let from_keras = root().join("crates/formats/tests/keras/fixtures/digits.keras");
        fs::copy(from_keras, folder.path().join("digits.keras")).unwrap();
        write_recipes(&document, folder.path());
        if !run_here.iter().any(|shown| shown.command == "cargo xtask train") {
            // The run of an earlier chapter.
            run(&tutorial, folder.path(), cache.path(), &document.name);
        }
        for shown in run_here {
            let printed = run(&in_shell(&shown), folder.path(), cache.path(), &shown.place);
            let Shown { place, command, output } = shown;
            assert!(is_in(&output, &printed), "{place}: {command}\nshown: {output:#?}\nprinted: {printed}");
            commands += 1;
            with_output += usize::from(!output.is_empty());
        }
    }
    assert!(commands > 20 && with_output > 8, "{commands} commands, {with_output} with output");
    let expected: BTreeSet<&str> = NOT_RUN.iter().map(|(words, _)| *words).collect();
    assert_eq!(left_out, expected, "exceptions that no document needs");
}

#[test]
fn times_and_left_out_lines_do_not_count() {
    let printed =
        "Epoch 1/5 - 9s 5ms/step - loss: 0.5\nEpoch 2/5 - 1.25s 99us/step - loss: 0.4\nAccuracy: 97.79%\n";
    assert!(is_in(&["Epoch 2/5 - 0.10s 1us/step - loss: 0.4", "Accuracy: 97.79%"], printed));
    assert!(!is_in(&["Epoch 2/5 - 0.10s 1us/step - loss: 0.5"], printed));
    assert!(!is_in(&["Accuracy: 97.79%", "Epoch 2/5 - 0.10s 1us/step - loss: 0.4"], printed));
}
