//! MNIST, the sets with files of its shape (Fashion-MNIST, KMNIST and QMNIST), and the custom set.

use ziffer_base::digest::{Digest, bytes_from_hex};

use super::entry::{Content, Entry, FILES, FileEntry, GzipFile, PublishedDigest, Split, file};
use crate::idx::ElementType;

/// MNIST's four files with these digests and published gzip files.
const fn files_of_60000(sha256: [Option<Digest>; 4], gzip_files: [Option<GzipFile>; 4]) -> [FileEntry; 4] {
    let mut files = FILES;
    let shapes: [&'static [usize]; 4] = [&[60_000, 28, 28], &[60_000], &[10_000, 28, 28], &[10_000]];
    let mut at = 0;
    while at < 4 {
        files[at].shape = Some(shapes[at]);
        files[at].sha256 = sha256[at];
        files[at].gzip = gzip_files[at];
        at += 1;
    }
    files
}

const fn digest(hex: &str) -> Option<Digest> {
    Some(Digest::from_hex(hex))
}

const fn gzip(len: u64, hex: &str) -> Option<GzipFile> {
    Some(GzipFile { len: Some(len), digest: PublishedDigest::Sha256(Digest::from_hex(hex)) })
}

pub(super) static MNIST: Entry = Entry {
    name: "mnist",
    title: "MNIST",
    class_names: &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
    folders: &[],
    mirrors: &[
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://raw.githubusercontent.com/fgnt/mnist/master/",
    ],
    files: &files_of_60000(
        [
            digest("ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
            digest("65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
            digest("0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
            digest("ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
        ],
        [
            gzip(9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
            gzip(28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
            gzip(1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
            gzip(4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
        ],
    ),
    archive: None,
};

pub(super) static FASHION_MNIST: Entry = Entry {
    name: "fashion-mnist",
    title: "Fashion-MNIST",
    class_names: &[
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ],
    // Debian's package dataset-fashion-mnist.
    folders: &["/usr/share/datasets/fashion-mnist"],
    mirrors: &[
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    ],
    files: &files_of_60000(
        [
            digest("c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
            digest("bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
            digest("5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
            digest("0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
        ],
        [None; 4],
    ),
    archive: None,
};

/// Digests of the content were never published, so only the published gzip files can be verified.
pub(super) static KMNIST: Entry = Entry {
    name: "kmnist",
    title: "Kuzushiji-MNIST",
    class_names: &["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"],
    folders: &[],
    mirrors: &["http://codh.rois.ac.jp/kmnist/dataset/kmnist/"],
    files: &files_of_60000(
        [None; 4],
        [
            gzip(18_165_135, "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4"),
            gzip(29_497, "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17"),
            gzip(3_041_136, "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5"),
            gzip(5_120, "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c"),
        ],
    ),
    archive: None,
};

/// Column 0 of the labels is the class. The other columns locate the sample in NIST's database.
pub(super) static QMNIST: Entry = Entry {
    name: "qmnist",
    title: "QMNIST",
    class_names: MNIST.class_names,
    folders: &[],
    mirrors: &["https://raw.githubusercontent.com/facebookresearch/qmnist/master/"],
    files: &[
        qmnist(
            Split::Train,
            Content::Images,
            "qmnist-train-images-idx3-ubyte",
            "ed72d4157d28c017586c42bc6afe6370",
        ),
        qmnist(
            Split::Train,
            Content::Labels,
            "qmnist-train-labels-idx2-int",
            "0058f8dd561b90ffdd0f734c6a30e5e4",
        ),
        qmnist(
            Split::Test,
            Content::Images,
            "qmnist-test-images-idx3-ubyte",
            "1394631089c404de565df7b7aeaf9412",
        ),
        qmnist(
            Split::Test,
            Content::Labels,
            "qmnist-test-labels-idx2-int",
            "5b5b05890a5e13444e108efe57b788aa",
        ),
    ],
    archive: None,
};

const fn qmnist(split: Split, content: Content, name: &'static str, md5: &str) -> FileEntry {
    let mut entry = file(split, content, name);
    match content {
        Content::Images => entry.shape = Some(&[60_000, 28, 28]),
        Content::Labels => {
            entry.element_type = ElementType::I32;
            entry.shape = Some(&[60_000, 8]);
        }
    }
    entry.gzip = Some(GzipFile { len: None, digest: PublishedDigest::Md5(bytes_from_hex(md5)) });
    entry
}

pub(super) static CUSTOM: Entry = Entry {
    name: "custom",
    title: "custom set",
    class_names: &[],
    folders: &[],
    mirrors: &[],
    files: &FILES,
    archive: None,
};
