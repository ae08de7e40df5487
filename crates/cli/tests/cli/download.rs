//! `download` and `data` without the internet: from the repository's copy of MNIST, from folders, and from a local server.

use std::fs;
use std::path::Path;

use ziffer_base::digest::Digest;
#[cfg(unix)]
use ziffer_base::test_server::TestServer;

use crate::idx::{NAMES, U8, gz, idx, labels, mnist_gz};
use crate::sandbox::{Sandbox, finish};

/// The digests of MNIST's raw files, computed from copies of the originals.
const DIGESTS: [&str; 4] = [
    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
];

#[track_caller]
fn assert_mnist(folder: &Path) {
    for (name, digest) in NAMES.iter().zip(DIGESTS) {
        let raw = fs::read(folder.join(name)).expect("a raw file");
        assert_eq!(Digest::of(&raw).to_string(), digest, "{name}");
    }
}

#[test]
fn mnist_comes_from_the_repository_into_the_cache_folder() {
    let sandbox = Sandbox::new();
    sandbox.succeed("download mnist --offline");
    assert_mnist(&sandbox.path("cache/ziffer/mnist"));
    // A second download does nothing and succeeds.
    let before = sandbox.files();
    sandbox.succeed("download mnist --offline");
    assert!(before == sandbox.files());
}

#[test]
fn mnist_comes_from_a_mirror_that_is_a_folder() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command();
    command.args(["download", "mnist", "--offline", "--data-dir", "here", "--mirror"]).arg(mnist_gz());
    finish(&mut command).succeeded();
    assert_mnist(&sandbox.path("here"));
}

#[test]
fn a_mirror_with_other_content_is_skipped() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("mirror")).unwrap();
    for name in NAMES {
        fs::write(sandbox.path("mirror").join(name), "<html>404 Not Found</html>").unwrap();
        fs::write(sandbox.path("mirror").join(format!("{name}.gz")), "<html>404 Not Found</html>").unwrap();
    }
    sandbox.succeed("download mnist --offline --data-dir here --mirror mirror");
    assert_mnist(&sandbox.path("here"));
}

#[test]
fn a_broken_file_in_the_cache_folder_is_replaced_by_force() {
    let sandbox = Sandbox::new();
    sandbox.succeed("download mnist --offline --data-dir here");
    fs::write(sandbox.path("here").join(NAMES[3]), "broken").unwrap();
    sandbox.succeed("download mnist --offline --data-dir here --force");
    assert_mnist(&sandbox.path("here"));
}

#[test]
fn a_data_set_that_no_offline_source_has_is_refused() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.refuse("download kmnist --offline", &["kmnist", NAMES[0], "offline"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(!sandbox.path("cache/ziffer/kmnist").join(NAMES[0]).exists());
}

#[test]
fn the_environment_names_a_mirror_for_every_command() {
    let sandbox = Sandbox::with_tiny_set();
    let at = |mirror: &str, arguments: &str| {
        let mut command = sandbox.command();
        command.env("ZIFFER_MIRROR", mirror).args(arguments.split_whitespace());
        finish(&mut command)
    };
    for folder in ["first", "second"] {
        fs::create_dir(sandbox.path(folder)).unwrap();
    }
    let outcome = at("second", "download kmnist --offline");
    outcome.refused(&["second: has neither", "offline"]);
    // Flags come first, then the environment, then the public mirrors.
    let outcome = at("second", "download kmnist --offline --mirror first");
    let place = |words: &str| outcome.stderr.find(words).unwrap_or_else(|| panic!("{words}: {outcome:?}"));
    assert!(
        place("first: has neither") < place("second: has neither")
            && place("second: has neither") < place("http://")
    );
    let outcome = at("http://127.0.0.1:1/", "evaluate set --dataset kmnist");
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
}

/// Even if the repository's copy makes it unnecessary.
#[test]
fn an_invalid_mirror_is_refused() {
    let sandbox = Sandbox::with_tiny_set();
    for (place, problem, code) in [
        ("ftp://example.org/mnist", "unknown scheme ftp, expected http, https or a folder", 2),
        ("file:///data", "unknown scheme file, expected http, https or a folder", 2),
        ("nowhere", "no such folder", 1),
        ("set/train-labels-idx1-ubyte", "found a file, expected a folder", 1),
    ] {
        let line = format!("download mnist --offline --mirror {place}");
        let outcome = sandbox.refuse(&line, &[&format!("--mirror {place}: {problem}")]);
        assert_eq!(outcome.code, Some(code), "{outcome:?}");
        let mut command = sandbox.command();
        command.env("ZIFFER_MIRROR", place).args(["train", "--epochs", "1"]);
        let outcome = sandbox.refuse_command(&mut command, &[&format!("ZIFFER_MIRROR {place}: {problem}")]);
        assert_eq!(outcome.code, Some(code), "{outcome:?}");
    }
}

#[test]
fn list_and_doctor_show_the_files_in_the_cache() {
    let sandbox = Sandbox::new();
    let list = sandbox.succeed("data list").stdout;
    for words in [
        "mnist ",
        "fashion-mnist ",
        "kmnist ",
        "60,000 + 10,000 images, 10 classes",
        "not in the cache",
        "custom",
    ] {
        assert!(list.contains(words), "{words}: {list}");
    }
    let doctor = sandbox.succeed("data doctor").stdout;
    assert!(doctor.contains("mnist: not in the cache; get it with `ziffer download mnist`"), "{doctor}");

    sandbox.succeed("download mnist --offline");
    assert!(sandbox.succeed("data list").stdout.contains("cache/ziffer/mnist"));
    let doctor = sandbox.succeed("data doctor").stdout;
    assert_eq!(doctor.matches(": good\n").count(), 4, "{doctor}");

    let cache = sandbox.path("cache/ziffer/mnist");
    fs::remove_file(cache.join(NAMES[1])).unwrap();
    let mut labels = fs::read(cache.join(NAMES[3])).unwrap();
    *labels.last_mut().unwrap() ^= 1;
    fs::write(cache.join(NAMES[3]), labels).unwrap();
    let before = sandbox.files();
    let outcome = sandbox.run("data doctor");
    assert!(before == sandbox.files(), "it changes nothing");
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stdout.contains(&format!("{}: missing", NAMES[1])), "{outcome:?}");
    assert!(outcome.stdout.contains(&format!("{}: damaged: ", NAMES[3])), "{outcome:?}");
    assert!(outcome.stderr.contains(NAMES[3]) && !outcome.stderr.contains(NAMES[1]), "{outcome:?}");
    sandbox.succeed("download mnist --offline");
    sandbox.succeed("data doctor");
    assert_mnist(&cache);
}

/// EMNIST MNIST, from files with the shapes and names of the published ones.
#[test]
fn emnist_from_files_placed_by_hand() {
    let sandbox = Sandbox::new();
    let text = ["missing", "emnist-mnist-train-images-idx3-ubyte", "offline", "or gzip.zip with all of them"];
    sandbox.refuse("download emnist-mnist --offline", &text);

    let cache = sandbox.path("cache/ziffer/emnist-mnist");
    fs::create_dir_all(cache.join("gzip")).unwrap();
    for (part, count) in [("train", 60_000_u32), ("test", 10_000)] {
        let classes: Vec<u8> = (0..=9).cycle().take(count as usize).collect();
        // One bright pixel whose row is the class; after transposition, its column is the class.
        let mut pixels = vec![0; 784 * count as usize];
        for (picture, class) in pixels.chunks_exact_mut(784).zip(&classes) {
            picture[28 * usize::from(*class)] = 255;
        }
        let write = |name: &str, bytes: &[u8]| {
            fs::write(cache.join(format!("gzip/emnist-mnist-{part}-{name}.gz")), gz(bytes)).unwrap();
        };
        write("images-idx3-ubyte", &idx(U8, &[count, 28, 28], &pixels));
        write("labels-idx1-ubyte", &labels(&classes));
    }
    let list = sandbox.succeed("data list").stdout;
    assert!(list.contains("emnist-mnist     EMNIST MNIST     60,000 + 10,000 images, 10 classes"), "{list}");
    let line = list.lines().find(|line| line.starts_with("emnist-mnist")).unwrap();
    assert!(line.ends_with("cache/ziffer/emnist-mnist/gzip"), "{list}");
    let doctor = sandbox.succeed("data doctor").stdout;
    let packed =
        "  t10k-images-idx3-ubyte in gzip/emnist-mnist-test-images-idx3-ubyte.gz: good by type and shape;";
    assert!(doctor.contains(packed), "{doctor}");
    let outcome = sandbox.succeed("download emnist-mnist --offline");
    assert!(
        outcome.stdout.starts_with("emnist-mnist: 60,000 training and 10,000 test images in "),
        "{outcome:?}"
    );
    let pictures = fs::read(cache.join(NAMES[2])).unwrap();
    for class in 0..10 {
        let picture = &pictures[16 + 784 * class..][..784];
        assert_eq!(picture.iter().position(|pixel| *pixel == 255), Some(class));
    }
    let doctor = sandbox.succeed("data doctor").stdout;
    assert_eq!(doctor.matches(": good: unchanged since its download; no digest").count(), 4, "{doctor}");

    // Damage in the cache is noticed without a published digest, and the file is written again.
    let mut bad = pictures.clone();
    bad[5000] ^= 1;
    fs::write(cache.join(NAMES[2]), &bad).unwrap();
    let outcome = sandbox.run("data doctor");
    assert!(
        outcome.stderr.contains("damaged in the cache: t10k-images-idx3-ubyte of emnist-mnist"),
        "{outcome:?}"
    );
    sandbox.succeed("download emnist-mnist --offline");
    assert!(fs::read(cache.join(NAMES[2])).unwrap() == pictures);
    assert!(fs::read(cache.join(format!("{}.broken", NAMES[2]))).unwrap() == bad);
    sandbox.succeed("data doctor");
}

#[test]
fn the_doctor_checks_compressed_files() {
    let sandbox = Sandbox::new();
    let cache = sandbox.path("cache/ziffer/mnist");
    fs::create_dir_all(&cache).unwrap();
    for name in NAMES {
        let name = format!("{name}.gz");
        fs::copy(mnist_gz().join(&name), cache.join(&name)).unwrap();
    }
    let doctor = sandbox.succeed("data doctor").stdout;
    for name in NAMES {
        assert!(doctor.contains(&format!("  {name} in {name}.gz: good\n")), "{doctor}");
    }
    // One file is truncated, one has other content, and EMNIST's zip file is not a zip file.
    let archive = |file: usize| cache.join(format!("{}.gz", NAMES[file]));
    let whole = fs::read(archive(0)).unwrap();
    fs::write(archive(0), &whole[..whole.len() - 9]).unwrap();
    fs::write(archive(3), gz(&labels(&[7; 10_000]))).unwrap();
    fs::create_dir(sandbox.path("cache/ziffer/emnist")).unwrap();
    fs::write(sandbox.path("cache/ziffer/emnist/gzip.zip"), "<html>").unwrap();
    let before = sandbox.files();
    let outcome = sandbox.run("data doctor");
    assert!(before == sandbox.files(), "it changes nothing");
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    for words in [
        "train-images-idx3-ubyte.gz: damaged: ",
        "gzip data ",
        "train-labels-idx1-ubyte.gz: good",
        "t10k-labels-idx1-ubyte.gz: damaged: ",
        "found sha256",
        "emnist/gzip.zip: damaged: ",
        "expected fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e for EMNIST",
    ] {
        assert!(outcome.stdout.contains(words), "{words}: {outcome:?}");
    }
    let expected =
        "damaged in the cache: train-images-idx3-ubyte.gz of mnist, t10k-labels-idx1-ubyte.gz of mnist, ";
    assert!(outcome.stderr.contains(expected), "{outcome:?}");
}

#[cfg(unix)]
#[test]
fn a_process_that_waits_for_another_prints_a_message() {
    use std::io::{BufRead, BufReader, Read};
    use std::process::Stdio;

    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("here")).unwrap();
    let folder = fs::File::open(sandbox.path("here")).unwrap();
    folder.lock().unwrap();
    let mut command = sandbox.command();
    command.args(["download", "mnist", "--offline", "--data-dir", "here"]);
    let mut download = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut messages = BufReader::new(download.stderr.take().unwrap());
    let mut line = String::new();
    messages.read_line(&mut line).unwrap();
    assert_eq!(line, "here: waiting for another process that is writing to this folder\n");
    assert!(download.try_wait().unwrap().is_none(), "it waits");
    folder.unlock().unwrap();
    assert!(download.wait().unwrap().success());
    let mut rest = String::new();
    messages.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "", "it is printed once");
    assert_mnist(&sandbox.path("here"));
}

#[cfg(unix)]
#[test]
fn processes_that_need_the_same_data_set_download_it_once() {
    use std::process::Stdio;

    let archives = NAMES.map(|name| format!("{name}.gz"));
    let archives = archives.map(|name| (name.clone(), fs::read(mnist_gz().join(name)).unwrap()));
    let server = TestServer::with_files(archives.into());
    let sandbox = Sandbox::new();
    let downloads: Vec<_> = (0..4)
        .map(|_| {
            let mut command = sandbox.command();
            command.args(["download", "mnist", "--data-dir", "here", "--mirror", &server.url]);
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut download in downloads {
        assert!(download.wait().unwrap().success());
    }
    assert_mnist(&sandbox.path("here"));
    assert_eq!(server.paths().len(), NAMES.len());
}
