//! What the tests share.

use std::path::Path;

use ziffer_dataset::{Mirror, Mnist, Source, TrainTest};

/// MNIST from the repository's own copy, unpacked into the build folder.
pub(crate) fn mnist() -> TrainTest {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let source = Source::default()
        .data_dir(Path::new(env!("CARGO_TARGET_TMPDIR")).join("mnist"))
        .mirror(Mirror::Folder(root.join("data/mnist")))
        .offline(true);
    Mnist::open_or_download(&source).expect("the repository's copy of MNIST")
}
