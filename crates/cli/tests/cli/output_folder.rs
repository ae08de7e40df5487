//! The run folder: nothing is half done if it cannot be written, and a failed run leaves the run before it intact.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::idx::{IdxSet, NAMES, TRAIN_LABELS};
use crate::sandbox::{Sandbox, TRAIN_TINY, finish, skip, weights_sha256};

#[test]
fn a_file_instead_of_the_folder() {
    let sandbox = Sandbox::with_tiny_set();
    fs::write(sandbox.path("run"), "precious").unwrap();
    let outcome = sandbox.refuse(TRAIN_TINY, &["run"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let outcome = sandbox.refuse(&TRAIN_TINY.replace("--out run", "--out run/inside"), &["run/inside"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
}

#[test]
fn folders_instead_of_the_files() {
    for name in ["model.safetensors", "summary.json"] {
        let sandbox = Sandbox::with_tiny_set();
        // The other file belongs to an earlier run, and must not change.
        sandbox.succeed(TRAIN_TINY);
        fs::remove_file(sandbox.path("run").join(name)).unwrap();
        fs::create_dir_all(sandbox.path("run").join(name).join("full")).unwrap();
        sandbox.refuse(&format!("{TRAIN_TINY} --force"), &[&format!("run/{name}")]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_written() {
    let sandbox = Sandbox::with_tiny_set();
    let outcome = sandbox.refuse(&TRAIN_TINY.replace("--out run", "--out /proc/run"), &["/proc/run"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    // An existing folder.
    let outcome = sandbox.refuse(&TRAIN_TINY.replace("--out run", "--out /proc/self"), &["/proc/self"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let epochs = outcome.stderr.lines().filter(|line| line.starts_with("Epoch ")).count();
    assert_eq!(epochs, 0, "refused before training: {outcome:?}");
}

#[cfg(unix)]
#[test]
fn a_read_only_folder() {
    let sandbox = match Sandbox::of_ordinary_user() {
        Ok(sandbox) => sandbox,
        Err(reason) => return skip("a read-only folder", &reason),
    };
    IdxSet::tiny().write(&sandbox.path("set"));
    fs::create_dir(sandbox.path("parent")).unwrap();
    sandbox.set_mode("parent", 0o555);
    for out in ["parent", "parent/run"] {
        let train = TRAIN_TINY.replace("--out run", &format!("--out {out}"));
        let outcome = sandbox.refuse(&train, &[out, "ermission"]);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
    }
    sandbox.set_mode("parent", 0o755);
    sandbox.succeed(&TRAIN_TINY.replace("--out run", "--out parent/run"));
}

#[test]
fn missing_folders_are_created() {
    let sandbox = Sandbox::with_tiny_set();
    sandbox.succeed(&TRAIN_TINY.replace("--out run", "--out a/b/c"));
    let names: Vec<_> =
        fs::read_dir(sandbox.path("a/b/c")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().any(|name| name == "model.safetensors"), "{names:?}");
    assert!(names.iter().any(|name| name == "summary.json"), "{names:?}");
    assert!(names.iter().all(|name| !name.to_string_lossy().starts_with('.')), "no leftovers: {names:?}");
}

#[test]
fn other_files_in_the_folder_are_kept() {
    let sandbox = Sandbox::with_tiny_set();
    fs::create_dir(sandbox.path("run")).unwrap();
    fs::write(sandbox.path("run/notes.txt"), "mine").unwrap();
    sandbox.succeed(TRAIN_TINY);
    assert_eq!(fs::read(sandbox.path("run/notes.txt")).unwrap(), b"mine");
}

#[test]
fn a_failed_run_keeps_the_run_that_it_was_to_replace() {
    let sandbox = Sandbox::with_tiny_set();
    sandbox.succeed(TRAIN_TINY);
    IdxSet::tiny().with(TRAIN_LABELS, Vec::new()).write(&sandbox.path("broken"));
    let train = format!("{TRAIN_TINY} --force");
    // Each of these compares every file in the sandbox before and after.
    sandbox.refuse(&train.replace("--data-dir set", "--data-dir broken"), &[NAMES[TRAIN_LABELS]]);
    sandbox.refuse(&train.replace("--epochs 2", "--epochs 0"), &["--epochs"]);
    sandbox.refuse(&format!("{train} --init set/{}", NAMES[0]), &[NAMES[0]]);
    sandbox.refuse(&format!("{train} --recipe nowhere.toml"), &["nowhere.toml"]);
    let checkpoints = || {
        let mut files = sandbox.files();
        files.retain(|path, _| is_checkpoint(path));
        files
    };
    let before = checkpoints();
    let diverging = format!("{train} --learning-rate 1e30");
    fail_while_training(&sandbox, sandbox.command().args(diverging.split(' ')), &["step"]);
    let after = checkpoints();
    assert!(before.len() == 2 && before.iter().all(|(path, bytes)| after.get(path) == Some(bytes)));
    assert!(sandbox.path("run/model.safetensors").is_file() && sandbox.path("run/summary.json").is_file());
    // A run that succeeds replaces it.
    let before = weights_sha256(&sandbox.path("run"));
    sandbox.succeed(&format!("{train} --seed 1"));
    assert_ne!(weights_sha256(&sandbox.path("run")), before);
}

fn is_checkpoint(path: &Path) -> bool {
    path.file_name().unwrap().to_str().unwrap().starts_with("checkpoint-")
}

/// Runs a command that must fail, and leave all files unchanged but for checkpoints of its own.
fn fail_while_training(sandbox: &Sandbox, command: &mut Command, words: &[&str]) {
    let files = || {
        let mut files = sandbox.files();
        files.retain(|path, _| !is_checkpoint(path));
        files
    };
    let before = files();
    let outcome = finish(command);
    outcome.refused(words);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(before == files(), "{outcome:?}");
}

/// A command that may not write more than `blocks` of 512 bytes to a file. Writing more is an error and does not kill it.
#[cfg(unix)]
fn with_file_size_limit(sandbox: &Sandbox, blocks: u32, arguments: &str) -> Command {
    let mut shell = Command::new("sh");
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_ziffer")]).args(arguments.split_whitespace());
    sandbox.prepare(shell)
}

#[cfg(unix)]
#[test]
fn a_limit_on_the_size_of_files() {
    let sandbox = Sandbox::with_tiny_set();
    let large = TRAIN_TINY.replace("--hidden 6", "--hidden 300,300");
    let outcome = sandbox.refuse_command(&mut with_file_size_limit(&sandbox, 64, &large), &["run"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(!sandbox.path("run/model.safetensors").exists());

    // An earlier run is kept, also if the model is small enough and only the summary is not.
    sandbox.succeed(TRAIN_TINY);
    let long = TRAIN_TINY.replace("--epochs 2", "--epochs 400 --seed 1 --force");
    for (blocks, train) in [(64, &format!("{large} --force")), (16, &long)] {
        fail_while_training(&sandbox, &mut with_file_size_limit(&sandbox, blocks, train), &["run"]);
    }

    // The same for unpacked data.
    IdxSet::black().write_gz(&sandbox.path("packed"));
    let train = TRAIN_TINY.replace("--data-dir set", "--data-dir packed --force");
    let outcome = sandbox.refuse_command(&mut with_file_size_limit(&sandbox, 16, &train), &[NAMES[0]]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(!sandbox.path("packed").join(NAMES[0]).exists());
}

/// A file system of 64 KiB that is unmounted at the end of the test.
#[cfg(target_os = "linux")]
struct SmallDisk(std::path::PathBuf);

#[cfg(target_os = "linux")]
impl SmallDisk {
    fn mount(folder: &Path) -> Result<Self, String> {
        fs::create_dir_all(folder).expect("a folder to mount at");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k", "ziffer-test"])
            .arg(folder)
            .output()
            .map_err(|error| format!("no mount: {error}"))?;
        if mount.status.success() {
            Ok(Self(folder.to_owned()))
        } else {
            Err(String::from_utf8_lossy(&mount.stderr).trim().to_owned())
        }
    }

    /// Fills the disk except for about `spare` bytes.
    fn fill(&self, spare: u64) {
        use std::io::Write;
        let mut ballast = fs::File::create(self.0.join("ballast")).expect("room for a name");
        let mut length = 0;
        while ballast.write(&[0; 1024]).is_ok_and(|written| written > 0) {
            length += 1024;
        }
        ballast.set_len(length - spare).expect("a file can be made shorter");
    }
}

#[cfg(target_os = "linux")]
impl Drop for SmallDisk {
    fn drop(&mut self) {
        let done = Command::new("umount").arg(&self.0).status();
        if !done.is_ok_and(|status| status.success()) {
            let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk() {
    let sandbox = Sandbox::with_tiny_set();
    let disk = match SmallDisk::mount(&sandbox.path("disk")) {
        Ok(disk) => disk,
        Err(reason) => return skip("a full disk", &reason),
    };
    let train = TRAIN_TINY.replace("--out run", "--out disk/run");
    let large = train.replace("--hidden 6", "--hidden 300,300");

    let outcome = sandbox.refuse(&large, &["disk/run", "No space left"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(!sandbox.path("disk/run/model.safetensors").exists());

    // With an earlier run: first no space, then space for the model but not for the summary of many epochs.
    sandbox.succeed(&train);
    assert!(fs::metadata(sandbox.path("disk/run/model.safetensors")).unwrap().len() < 4096);
    let other = format!("{train} --seed 1 --force");
    let long = other.replace("--epochs 2", "--epochs 300");
    for (spare, train) in [(0, &other), (4096, &long), (8192, &long)] {
        disk.fill(spare);
        fail_while_training(&sandbox, sandbox.command().args(train.split_whitespace()), &["disk/run"]);
    }
    let before = weights_sha256(&sandbox.path("disk/run"));
    disk.fill(16 * 1024);
    sandbox.succeed(&other);
    assert_ne!(weights_sha256(&sandbox.path("disk/run")), before);

    // Data unpacked to the disk.
    disk.fill(16 * 1024);
    IdxSet::black().write_gz(&sandbox.path("disk/packed"));
    let unpack = TRAIN_TINY.replace("--data-dir set", "--data-dir disk/packed");
    let outcome = sandbox.refuse(&unpack, &[NAMES[0]]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(!sandbox.path("disk/packed").join(NAMES[0]).exists());
}

#[cfg(unix)]
#[test]
fn data_may_be_read_only() {
    let sandbox = match Sandbox::of_ordinary_user() {
        Ok(sandbox) => sandbox,
        Err(reason) => return skip("read-only data", &reason),
    };
    IdxSet::tiny().write(&sandbox.path("set"));
    for name in NAMES {
        sandbox.set_mode(&format!("set/{name}"), 0o444);
    }
    sandbox.set_mode("set", 0o555);
    sandbox.succeed(TRAIN_TINY);

    // Compressed data in a folder that cannot be written: refused or read, but never half done.
    IdxSet::tiny().write_gz(&sandbox.path("packed"));
    sandbox.set_mode("packed", 0o555);
    let packed = TRAIN_TINY.replace("--data-dir set --out run", "--data-dir packed --out other");
    if sandbox.run(&packed).code != Some(0) {
        sandbox.refuse(&packed, &["packed", "ermission"]);
    }
    sandbox.set_mode("set", 0o755);
    sandbox.set_mode("packed", 0o755);
}
