//! Error messages: what failed, where, and the cause, each once and all in one line.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use crate::idx::{IdxSet, images, labels, three_classes};
use crate::sandbox::{Sandbox, TRAIN_TINY};

const ABSENT: &str = "No such file or directory";

/// A folder with a data set of 14x14 images in `set`, and a run on it in `run`.
fn trained() -> Sandbox {
    let sandbox = Sandbox::new();
    let part = |samples| [images(&three_classes(samples), 14, 14), labels(&three_classes(samples))];
    let ([a, b], [c, d]) = (part(60), part(20));
    IdxSet { files: [a, b, c, d] }.write(&sandbox.path("set"));
    sandbox.succeed(TRAIN_TINY);
    sandbox
}

/// Runs each command line and compares its error message, without the system's error number. An expected message that ends in a
/// colon and a space is only the beginning.
#[track_caller]
fn messages(sandbox: &Sandbox, cases: &[(&str, &str)]) {
    for (arguments, line) in cases {
        let outcome = sandbox.refuse(arguments, &[]);
        let said = outcome.stderr.trim_end().split(" (os error").next().unwrap_or_default();
        let is_said = if line.ends_with(": ") { said.starts_with(line) } else { said == *line };
        assert!(is_said, "{line:?}, not {outcome:?}");
    }
}

#[test]
fn recipes() {
    let sandbox = Sandbox::with_tiny_set();
    fs::write(sandbox.path("broken.toml"), "epochs = ").unwrap();
    fs::write(sandbox.path("zero.toml"), "epochs = 0").unwrap();
    let no_recipe = |name: &str| {
        format!("error: no recipe {name}: not a built-in recipe (tutorial), and the file cannot be read: ")
    };
    messages(
        &sandbox,
        &[
            ("train --recipe nowhere.toml", &(no_recipe("nowhere.toml") + ABSENT)),
            ("train --recipe set", &(no_recipe("set") + "Is a directory")),
            ("train --recipe broken.toml", "error: broken.toml: line 1: "),
            (
                "train --recipe zero.toml",
                "error: zero.toml: line 1: epochs is 0, expected a whole number of at least 1, in `epochs = 0`",
            ),
        ],
    );
}

#[test]
fn pictures_and_keras_files() {
    let sandbox = trained();
    fs::create_dir(sandbox.path("folder.png")).unwrap();
    fs::write(sandbox.path("text.png"), "text").unwrap();
    fs::write(sandbox.path("cut.png"), b"\x89PNG\r\n\x1a\n").unwrap();
    let keras = Path::new(env!("CARGO_MANIFEST_DIR")).join("../formats/tests/keras/fixtures/digits.keras");
    let keras = fs::read(keras).unwrap();
    fs::write(sandbox.path("cut.keras"), &keras[..30_000]).unwrap();
    let mut changed = keras.clone();
    let content = changed.windows(10).position(|window| window == b"Sequential").unwrap();
    changed[content] ^= 1;
    fs::write(sandbox.path("changed.keras"), changed).unwrap();
    fs::write(sandbox.path("whole.keras"), keras).unwrap();
    let picture = |name: &str, cause: &str| format!("error: {name}: cannot prepare the picture: {cause}");
    let found = "found another kind of file, expected a picture: PNG, JPEG or BMP";
    messages(
        &sandbox,
        &[
            ("predict run nowhere.png", &picture("nowhere.png", &format!("cannot read: {ABSENT}"))),
            ("predict run folder.png", &picture("folder.png", "found a folder, expected a picture")),
            ("predict run cut.png", &picture("cut.png", "not a whole PNG picture: ")),
            ("import nowhere.keras --out a", &format!("error: nowhere.keras: cannot read: {ABSENT}")),
            ("import cut.keras --out a", "error: cut.keras: .keras archive: damaged: "),
            (
                "import changed.keras --out a",
                "error: changed.keras: .keras archive: config.json is damaged: Invalid checksum",
            ),
        ],
    );
    let outcome = sandbox.run("predict run text.png nowhere.png");
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let lines: Vec<_> = outcome.stderr.lines().collect();
    assert_eq!(lines[0], picture("text.png", found));
    assert!(lines[1].starts_with(&picture("nowhere.png", "cannot read: ")) && lines.len() == 2, "{lines:?}");
}

#[test]
fn outputs_that_cannot_be_written() {
    let sandbox = trained();
    fs::write(sandbox.path("file"), "precious").unwrap();
    let train = TRAIN_TINY.replace("--out run", "--out file/inside");
    let augment = "data augment --dataset custom --data-dir set --times 2 --out file";
    messages(
        &sandbox,
        &[
            (&train, "error: file/inside: cannot create the folder: Not a directory"),
            (augment, "error: file: cannot create the folder: File exists"),
            (
                "export run --onnx nowhere/digits.onnx",
                "error: nowhere/digits.onnx: cannot write: the folder nowhere does not exist",
            ),
        ],
    );
    #[cfg(target_os = "linux")]
    {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = sandbox.command();
        let outcome = sandbox.refuse_command(command.args(["summary", "run"]).stdout(full), &[]);
        let line = "error: standard output: cannot write: No space left on device (os error 28)\n";
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(1), line));
    }
}

#[test]
fn servers() {
    let sandbox = trained();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let port = address.port();
    messages(
        &sandbox,
        &[
            (
                &format!("serve run --port {port}"),
                &format!(
                    "error: {address}: another program listens on port {port}; choose another port with --port N, \
                     or a free one with --port 0"
                ),
            ),
            // This address is reserved for documentation.
            (
                "serve run --port 0 --host 192.0.2.1",
                "error: 192.0.2.1:0: cannot listen: Cannot assign requested address",
            ),
        ],
    );
}

#[test]
fn runs() {
    let sandbox = trained();
    IdxSet::tiny().write(&sandbox.path("tiny"));
    fs::create_dir(sandbox.path("broken")).unwrap();
    fs::write(sandbox.path("broken/summary.json"), "{").unwrap();
    messages(
        &sandbox,
        &[
            ("report broken", "error: broken/summary.json: not a run summary; train the run again: "),
            (
                "evaluate run --dataset custom --data-dir tiny",
                "error: tiny: the data set has images of shape [5, 4], the model takes [14, 14]",
            ),
        ],
    );
}

#[test]
fn models_data_sets_and_checkpoints() {
    let sandbox = trained();
    fs::write(sandbox.path("text.safetensors"), "text").unwrap();
    fs::create_dir_all(sandbox.path("runs/newest")).unwrap();
    fs::write(sandbox.path("runs/newest/summary.json"), "{}").unwrap();
    let init = |file: &str| format!("{} --init {file}", TRAIN_TINY.replace("--out run", "--out a"));
    let cannot_read = |file: &str| format!("error: {file}: cannot read: {ABSENT}");
    messages(
        &sandbox,
        &[
            ("summary nowhere.safetensors", &cannot_read("nowhere.safetensors")),
            ("evaluate nowhere", &cannot_read("nowhere")),
            ("export nowhere --onnx a", &cannot_read("nowhere")),
            (&init("nowhere"), &cannot_read("nowhere")),
            ("summary text.safetensors", "error: text.safetensors: not a whole safetensors file: "),
            (&init("text.safetensors"), "error: text.safetensors: not a whole safetensors file: "),
            (
                "serve",
                &format!(
                    "error: cannot serve the newest run; name another model: runs/newest/model.safetensors: \
                     cannot read: {ABSENT}"
                ),
            ),
            ("train --dataset custom --data-dir nowhere --out a", "error: "),
            ("predict run set/nowhere-idx3-ubyte", "error: "),
            (&format!("{TRAIN_TINY} --resume --seed 4"), "error: run/checkpoint-000002.safetensors: "),
        ],
    );
}
