//! Getting MNIST without a network: from the repository's own copy, and from a folder.

use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::idx::{NAMES, mnist_gz};
use crate::sandbox::{Sandbox, finish};
use crate::tensors::hex;

/// The digests of MNIST's raw files, from copies of the originals.
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
        assert_eq!(hex(&Sha256::digest(&raw)), digest, "{name}");
    }
}

#[test]
fn mnist_comes_from_the_repository_into_the_cache_folder() {
    let sandbox = Sandbox::new();
    sandbox.succeed("download mnist --offline");
    assert_mnist(&sandbox.path("cache/ziffer/mnist"));
    // A second time there is nothing to do, and it is no failure.
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
fn a_mirror_with_other_content_does_no_harm() {
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
fn a_set_that_is_nowhere_without_a_network_is_refused() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.refuse("download kmnist --offline", &["kmnist", NAMES[0], "offline"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(!sandbox.path("cache/ziffer/kmnist").join(NAMES[0]).exists());
}
