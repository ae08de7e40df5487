//! The run's folder: where it cannot be written nothing is half done, and a good run outlives a failed one.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::idx::{IdxSet, NAMES, TRAIN_LABELS};
use crate::sandbox::{Sandbox, TRAIN_TINY, finish, skip, weights_sha256};

#[test]
fn a_file_in_the_place_of_the_folder() {
    let sandbox = Sandbox::with_tiny_set();
    fs::write(sandbox.path("run"), "precious").unwrap();
    let outcome = sandbox.refuse(TRAIN_TINY, &["run"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let outcome = sandbox.refuse(&TRAIN_TINY.replace("--out run", "--out run/inside"), &["run/inside"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
}

#[test]
fn folders_in_the_place_of_the_files() {
    for name in ["model.safetensors", "summary.json"] {
        let sandbox = Sandbox::with_tiny_set();
        // The other one of the two is of an earlier run, and not to be touched.
        sandbox.succeed(TRAIN_TINY);
        fs::remove_file(sandbox.path("run").join(name)).unwrap();
        fs::create_dir_all(sandbox.path("run").join(name).join("full")).unwrap();
        sandbox.refuse(TRAIN_TINY, &[&format!("run/{name}")]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_where_nobody_may_write() {
    let sandbox = Sandbox::with_tiny_set();
    let outcome = sandbox.refuse(&TRAIN_TINY.replace("--out run", "--out /proc/run"), &["/proc/run"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    // A folder that is there already.
    let outcome = sandbox.refuse(&TRAIN_TINY.replace("--out run", "--out /proc/self"), &["/proc/self"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let epochs = outcome.stderr.lines().filter(|line| line.starts_with("Epoch ")).count();
    assert_eq!(epochs, 0, "found before the work, not after: {outcome:?}");
}

#[cfg(unix)]
#[test]
fn a_read_only_folder() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::with_tiny_set();
    let parent = sandbox.path("parent");
    fs::create_dir(&parent).unwrap();
    fs::set_permissions(&parent, fs::Permissions::from_mode(0o555)).unwrap();
    if fs::write(parent.join("probe"), "").is_ok() {
        skip("a read-only folder", "this user may write everywhere");
        return;
    }
    for out in ["parent", "parent/run"] {
        let outcome = sandbox.refuse(&TRAIN_TINY.replace("--out run", &format!("--out {out}")), &[out]);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
    }
    fs::set_permissions(&parent, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn missing_folders_are_made() {
    let sandbox = Sandbox::with_tiny_set();
    sandbox.succeed(&TRAIN_TINY.replace("--out run", "--out a/b/c"));
    let names: Vec<_> =
        fs::read_dir(sandbox.path("a/b/c")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().any(|name| name == "model.safetensors"), "{names:?}");
    assert!(names.iter().any(|name| name == "summary.json"), "{names:?}");
    assert!(names.iter().all(|name| !name.to_string_lossy().starts_with('.')), "no leftovers: {names:?}");
}

#[test]
fn other_files_in_the_folder_are_left_alone() {
    let sandbox = Sandbox::with_tiny_set();
    fs::create_dir(sandbox.path("run")).unwrap();
    fs::write(sandbox.path("run/notes.txt"), "mine").unwrap();
    sandbox.succeed(TRAIN_TINY);
    assert_eq!(fs::read(sandbox.path("run/notes.txt")).unwrap(), b"mine");
}

#[test]
fn a_failed_run_leaves_the_good_one_before_it() {
    let sandbox = Sandbox::with_tiny_set();
    sandbox.succeed(TRAIN_TINY);
    IdxSet::tiny().with(TRAIN_LABELS, Vec::new()).write(&sandbox.path("broken"));
    // Each of these compares every file in the sandbox before and after.
    sandbox.refuse(&TRAIN_TINY.replace("--data-dir set", "--data-dir broken"), &[NAMES[TRAIN_LABELS]]);
    sandbox.refuse(&TRAIN_TINY.replace("--epochs 2", "--epochs 0"), &["--epochs"]);
    sandbox.refuse(&format!("{TRAIN_TINY} --init set/{}", NAMES[0]), &[NAMES[0]]);
    sandbox.refuse(&format!("{TRAIN_TINY} --recipe nowhere.toml"), &["nowhere.toml"]);
    let checkpoints = || {
        let mut files = sandbox.files();
        files.retain(|path, _| is_checkpoint(path));
        files
    };
    let before = checkpoints();
    let diverging = format!("{TRAIN_TINY} --learning-rate 1e30");
    fail_on_the_way(&sandbox, sandbox.command().args(diverging.split(' ')), &["step"]);
    let after = checkpoints();
    assert!(before.len() == 2 && before.iter().all(|(path, bytes)| after.get(path) == Some(bytes)));
    assert!(sandbox.path("run/model.safetensors").is_file() && sandbox.path("run/summary.json").is_file());
    // And a good one takes its place.
    let before = weights_sha256(&sandbox.path("run"));
    sandbox.succeed(&format!("{TRAIN_TINY} --seed 1"));
    assert_ne!(weights_sha256(&sandbox.path("run")), before);
}

fn is_checkpoint(path: &Path) -> bool {
    path.file_name().unwrap().to_str().unwrap().starts_with("checkpoint-")
}

/// Runs a command that must fail on its way, and leave everything as it was but for checkpoints of its own.
fn fail_on_the_way(sandbox: &Sandbox, command: &mut Command, words: &[&str]) {
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

/// A command that may not write more than `blocks` of 512 bytes into a file, and is told so, not killed.
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

    // A good run that was there stays, also if the model is small enough and only the summary is not.
    sandbox.succeed(TRAIN_TINY);
    let wordy = TRAIN_TINY.replace("--epochs 2", "--epochs 400 --seed 1");
    for (blocks, train) in [(64, &large), (16, &wordy)] {
        fail_on_the_way(&sandbox, &mut with_file_size_limit(&sandbox, blocks, train), &["run"]);
    }

    // The same for data that are unpacked.
    IdxSet::black().write_gz(&sandbox.path("packed"));
    let train = TRAIN_TINY.replace("--data-dir set", "--data-dir packed");
    let outcome = sandbox.refuse_command(&mut with_file_size_limit(&sandbox, 16, &train), &[NAMES[0]]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(!sandbox.path("packed").join(NAMES[0]).exists());
}

/// A file system of 64 KiB, gone at the end of the test however it ends.
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

    /// Fills the disk, but for about `spare` bytes.
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

    // With a good run there: no room; then room for the model, but not for the summary of many epochs.
    sandbox.succeed(&train);
    assert!(fs::metadata(sandbox.path("disk/run/model.safetensors")).unwrap().len() < 4096);
    let other = format!("{train} --seed 1");
    let wordy = other.replace("--epochs 2", "--epochs 300");
    for (spare, train) in [(0, &other), (4096, &wordy), (8192, &wordy)] {
        disk.fill(spare);
        fail_on_the_way(&sandbox, sandbox.command().args(train.split_whitespace()), &["disk/run"]);
    }
    let before = weights_sha256(&sandbox.path("disk/run"));
    disk.fill(16 * 1024);
    sandbox.succeed(&other);
    assert_ne!(weights_sha256(&sandbox.path("disk/run")), before);

    // Data that are unpacked onto it.
    disk.fill(16 * 1024);
    IdxSet::black().write_gz(&sandbox.path("disk/packed"));
    let unpack = TRAIN_TINY.replace("--data-dir set", "--data-dir disk/packed");
    let outcome = sandbox.refuse(&unpack, &[NAMES[0]]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(!sandbox.path("disk/packed").join(NAMES[0]).exists());
}

/// As root all is allowed; as nobody it is not. Needs root, and a program that nobody can reach.
#[cfg(target_os = "linux")]
#[test]
fn what_another_user_may_not_read_or_write() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65_534;
    const NAME: &str = "what another user may not read or write";

    let sandbox = Sandbox::with_tiny_set();
    let mode =
        |path: &str, mode| fs::set_permissions(sandbox.path(path), fs::Permissions::from_mode(mode)).unwrap();
    let nobody = |arguments: &str| {
        let mut command = sandbox.command();
        command.args(arguments.split_whitespace()).gid(NOBODY).uid(NOBODY);
        command
    };
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return skip(NAME, "only root can become another user");
    }
    mode("", 0o755);
    if !nobody("--version").output().is_ok_and(|version| version.status.success()) {
        return skip(NAME, "the other user cannot reach the program or the folder");
    }

    let outcome = sandbox.refuse_command(&mut nobody(TRAIN_TINY), &["run", "ermission"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");

    fs::create_dir(sandbox.path("run")).unwrap();
    let outcome = sandbox.refuse_command(&mut nobody(TRAIN_TINY), &["run", "ermission"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");

    // Reading is enough for the data.
    mode("run", 0o777);
    finish(&mut nobody(TRAIN_TINY)).succeeded();

    let labels = format!("set/{}", NAMES[TRAIN_LABELS]);
    mode(&labels, 0o000);
    let outcome = sandbox.refuse_command(&mut nobody(TRAIN_TINY), &[&labels, "ermission"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");

    // Packed data in a folder that cannot be written: refused or read, but never half done.
    IdxSet::tiny().write_gz(&sandbox.path("packed"));
    let packed = nobody(&TRAIN_TINY.replace("--data-dir set", "--data-dir packed")).output().unwrap();
    if !packed.status.success() {
        let mut again = nobody(&TRAIN_TINY.replace("--data-dir set", "--data-dir packed"));
        sandbox.refuse_command(&mut again, &["packed", "ermission"]);
    }
}
