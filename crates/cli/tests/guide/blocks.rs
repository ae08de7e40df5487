//! Every fenced block is what it says it is.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use ziffer::Recipe;

use crate::markdown::{Block, arguments_of, commands, documents, root};

/// The chapter in both languages whose programs are a package's files.
const OF_FILES: [&str; 2] = ["docs/guide/de/programs.md", "docs/guide/programs.md"];
/// These files' folder.
const PROGRAMS: &str = "docs/guide/programs/src/bin";

/// What begins a block of Rust that is compiled as a doctest.
fn is_program(block: &Block<'_>) -> bool {
    block.language == "rust" || block.language == "rust,no_run"
}

#[test]
fn every_block_has_a_language_that_is_checked() {
    for document in documents() {
        for block in document.blocks() {
            // Without a language it would be taken for Rust; with a wrong one for nothing.
            let known = ["console", "python", "rs", "text", "toml"].contains(&block.language);
            assert!(known || is_program(&block), "{}: {:?}", block.place, block.language);
            let is_compiled = document.name == "README.md" || document.name.starts_with("docs/guide/");
            assert!(is_compiled || !is_program(&block), "{}: no doctest compiles it", block.place);
        }
    }
}

#[test]
fn every_chapter_with_a_program_has_doctests() {
    let library = std::fs::read_to_string(root().join("crates/cli/src/lib.rs")).unwrap();
    let mut chapters = 0;
    for document in documents() {
        let is_translation = document.name.starts_with("docs/guide/de/");
        if is_translation || !document.blocks().iter().any(is_program) {
            continue;
        }
        let included = format!("include_str!(\"../../../{}\")", document.name);
        assert!(library.contains(&included), "{}: crates/cli/src/lib.rs does not include it", document.name);
        chapters += 1;
    }
    assert!(chapters > 5, "{chapters} chapters");
}

/// `rs` is for lines that are quoted from a program of the same chapter, but for their indentation. The chapter of the files is
/// held to these more strictly, below.
#[test]
fn excerpts_are_in_their_chapter_s_program() {
    let mut excerpts = 0;
    for document in documents() {
        if OF_FILES.contains(&document.name.as_str()) {
            continue;
        }
        let blocks = document.blocks();
        for block in blocks.iter().filter(|block| block.language == "rs") {
            let same = |lines: &[&str]| {
                lines.iter().zip(&block.lines).all(|(a, b)| a.trim_start() == b.trim_start())
            };
            let is_in = |program: &Block<'_>| program.lines.windows(block.lines.len()).any(same);
            assert!(
                blocks.iter().filter(|block| is_program(block)).any(is_in),
                "{}: in no program",
                block.place
            );
            excerpts += 1;
        }
    }
    assert!(excerpts > 0);
}

/// The blocks are the files, line by line: each file as a whole, in one block or in several with text between them.
#[test]
fn programs_are_their_files() {
    let entries = std::fs::read_dir(root().join(PROGRAMS)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let files: Vec<_> = paths.map(|path| (std::fs::read_to_string(&path).unwrap(), path)).collect();
    assert!(!files.is_empty());
    let mut chapters = 0;
    for document in documents().iter().filter(|document| OF_FILES.contains(&document.name.as_str())) {
        let without_blank = |lines: &mut Vec<&str>| {
            let blank = lines.iter().take_while(|line| line.is_empty()).count();
            lines.drain(..blank);
        };
        // Of each file the lines that no block has shown yet.
        let mut unshown: Vec<(Vec<&str>, &Path)> =
            files.iter().map(|(text, path)| (text.lines().collect(), path.as_path())).collect();
        for block in document.blocks() {
            assert!(!is_program(&block), "{}: in no file", block.place);
            if block.language != "rs" {
                continue;
            }
            assert!(!block.lines.is_empty(), "{}: nothing is shown", block.place);
            let (lines, _) = unshown
                .iter_mut()
                .find(|(lines, _)| lines.starts_with(&block.lines))
                .unwrap_or_else(|| panic!("{}: not the next lines of any file", block.place));
            lines.drain(..block.lines.len());
            without_blank(lines);
        }
        for (lines, path) in unshown {
            assert!(
                lines.is_empty(),
                "{} does not show {} from {:?} on",
                document.name,
                path.display(),
                lines[0]
            );
        }
        chapters += 1;
    }
    assert_eq!(chapters, OF_FILES.len());
}

#[test]
fn recipes_are_recipes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recipe.toml");
    let mut recipes = 0;
    for document in documents() {
        for block in document.blocks().iter().filter(|block| block.language == "toml") {
            std::fs::write(&path, block.lines.join("\n")).unwrap();
            let recipe = Recipe::open(&path).unwrap_or_else(|error| panic!("{}: {error}", block.place));
            assert_ne!(recipe, Recipe::default(), "{} says nothing", block.place);
            recipes += 1;
        }
    }
    assert!(recipes > 0);
}

/// In the first chapter a cell of a table with nothing but `key = value` is what a recipe says, and the recipe is read: at its
/// top or in one of its tables.
#[test]
fn keys_in_tables_are_those_of_recipes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recipe.toml");
    let is_read = |text: &str| {
        std::fs::write(&path, text).unwrap();
        Recipe::open(&path).is_ok_and(|recipe| recipe.validate().is_ok())
    };
    let places =
        ["", "[optimizer]\n", "[[callbacks]]\n", "[[layers]]\n", "[[layers]]\ntype = \"Dense\"\nunits = 3\n"];
    for document in documents().iter().filter(|document| document.name.ends_with("/keras.md")) {
        let mut cells = 0;
        for line in document.text.lines().filter(|line| line.starts_with("| ")) {
            for cell in line.split(" | ") {
                let keys: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
                if keys.is_empty() || !keys.iter().all(|key| key.contains(" = ")) {
                    continue;
                }
                let text = keys.join("\n");
                let is_right = places.iter().any(|place| is_read(&format!("{place}{text}")));
                assert!(is_right, "{}: no recipe says {cell}", document.name);
                cells += 1;
            }
        }
        assert!(cells > 40, "{}: {cells} cells", document.name);
    }
}

#[test]
fn python_is_python() {
    let documents = documents();
    let mut sources = BTreeMap::new();
    for document in &documents {
        let blocks = document.blocks();
        sources.extend(
            blocks
                .iter()
                .filter(|block| block.language == "python")
                .map(|block| (block.place.clone(), block.lines.join("\n"))),
        );
    }
    assert!(!sources.is_empty());
    let program =
        "import json, sys\nfor name, text in json.load(sys.stdin).items(): compile(text, name, 'exec')";
    let python =
        Command::new("python3").args(["-c", program]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut python) = python else {
        eprintln!("skipped: python_is_python: there is no python3");
        return;
    };
    let input = serde_json::to_vec(&sources).unwrap();
    python.stdin.take().unwrap().write_all(&input).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Command lines of `ziffer` and of `cargo xtask` are parsed where these are built.
#[test]
fn commands_are_of_known_programs() {
    for command in commands() {
        let words: Vec<&str> = command.words.iter().map(String::as_str).collect();
        let known = match words.as_slice() {
            ["ziffer" | "gzip" | "grep", ..]
            | ["cargo", "xtask" | "check" | "run" | "test" | "install", ..] => true,
            [script] => root().join(script).is_file(),
            _ => false,
        };
        assert!(known, "{}", command.place);
    }
}

#[test]
fn examples_are_there() {
    for command in arguments_of(&["cargo", "run"]) {
        let value_of = |flag: &str| {
            let flag = command.words.iter().position(|word| word == flag);
            flag.and_then(|flag| command.words.get(flag + 1))
        };
        let [package, example, program] = ["-p", "--example", "--bin"].map(value_of);
        let file = match (package.map(String::as_str), example, program) {
            (Some("ziffer-guide-programs"), None, Some(program)) => {
                Path::new(PROGRAMS).join(format!("{program}.rs"))
            }
            (Some(package), Some(example), None) => {
                let folder = package.strip_prefix("ziffer-").unwrap_or("cli");
                Path::new("crates").join(folder).join("examples").join(format!("{example}.rs"))
            }
            _ => panic!("{}", command.place),
        };
        assert!(root().join(&file).is_file(), "{}: {}", command.place, file.display());
    }
}
