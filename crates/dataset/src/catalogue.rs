//! What is known of each data set: its files with their shapes and digests, its classes, its public mirrors.
//!
//! Adding a set is adding a variant of [`Name`] and its entry.

mod emnist;

use std::fmt;
use std::str::FromStr;

use ziffer_base::digest::{Digest, bytes_from_hex};

use crate::error::DatasetError;
use crate::idx::ElementType;

/// The data sets by name. [`Display`](fmt::Display) and [`FromStr`] use the names of the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Name {
    /// `mnist`: handwritten digits, by LeCun, Cortes and Burges.
    #[default]
    Mnist,
    /// `fashion-mnist`: articles of clothing, by Xiao, Rasul and Vollgraf (Zalando).
    FashionMnist,
    /// `kmnist`: cursive hiragana, by Clanuwat and others (CODH).
    Kmnist,
    /// `qmnist`: MNIST's digits remade from the same source, with 50,000 test pictures more, by Yadav and Bottou.
    Qmnist,
    /// `emnist-balanced`: letters and digits, as many of each class, by Cohen and others, as are all of EMNIST.
    EmnistBalanced,
    /// `emnist-letters`: letters, without regard to their case.
    EmnistLetters,
    /// `emnist-digits`: digits.
    EmnistDigits,
    /// `emnist-mnist`: digits, as many as MNIST has.
    EmnistMnist,
    /// `emnist-bymerge`: all of the database; cases that look alike are one class.
    EmnistByMerge,
    /// `emnist-byclass`: all of the database.
    EmnistByClass,
    /// `custom`: any four IDX files under MNIST's names, with their own picture shape and number of classes.
    Custom,
}

/// The two parts of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// For training and validation.
    Train,
    /// For the final evaluation.
    Test,
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Content {
    /// Pictures.
    Images,
    /// Their classes.
    Labels,
}

/// One of the four files of a set.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct FileEntry {
    /// The part it belongs to.
    pub part: Part,
    /// What it holds.
    pub content: Content,
    /// The name of the raw file; the archive's has `.gz` behind it.
    pub name: &'static str,
    /// The type of its values: `u8`, or `i32` for labels with more to them than the class.
    pub element_type: ElementType,
    /// The shape; `None` if any will do.
    pub shape: Option<&'static [usize]>,
    /// The digest of the raw file, where it is known.
    pub sha256: Option<Digest>,
    /// The archive that was published, where it is known. Archives that others make of the same content differ.
    pub archive: Option<Archive>,
    /// The file as it was published, where that is of another name and form.
    pub original: Option<Original>,
}

/// A published file that is not kept as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Original {
    /// The name of the raw file; the archive's has `.gz` behind it.
    pub name: &'static str,
    /// What is to be changed.
    pub form: Form,
}

/// What sets a published file apart from the one that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Square pictures column by column: rows and columns are to be swapped.
    Transposed,
    /// Labels that count from this one; the kept ones count from 0.
    LabelsFrom(u8),
}

/// A zip that several sets were published in, each file under the name of its original.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bundle {
    /// What the sets of it are called together.
    pub title: &'static str,
    /// Its name at the mirrors.
    pub name: &'static str,
    /// Where it is kept: the name of a folder beside the sets' own.
    pub folder: &'static str,
    /// Its length in bytes.
    pub len: u64,
    /// Its digest.
    pub sha256: Digest,
}

/// A published `.gz`.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Archive {
    /// Its length in bytes, where it is known.
    pub len: Option<u64>,
    /// Its digest.
    pub digest: ArchiveDigest,
}

/// The digest that an archive was published with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveDigest {
    /// SHA-256.
    Sha256(Digest),
    /// MD5, which guards against accidents and not against someone who wants to deceive.
    Md5([u8; 16]),
}

/// A set: everything that [`Name`] gives, in one table row.
struct Entry {
    name: &'static str,
    title: &'static str,
    class_names: &'static [&'static str],
    folders: &'static [&'static str],
    mirrors: &'static [&'static str],
    files: &'static [FileEntry; 4],
    bundle: Option<&'static Bundle>,
}

impl Name {
    /// Every set of the catalogue.
    pub const ALL: [Name; 11] = [
        Name::Mnist,
        Name::FashionMnist,
        Name::Kmnist,
        Name::Qmnist,
        Name::EmnistBalanced,
        Name::EmnistLetters,
        Name::EmnistDigits,
        Name::EmnistMnist,
        Name::EmnistByMerge,
        Name::EmnistByClass,
        Name::Custom,
    ];

    /// The name on the command line and of the cache folder.
    pub fn as_str(self) -> &'static str {
        self.entry().name
    }

    /// The name as its authors write it.
    pub fn title(self) -> &'static str {
        self.entry().title
    }

    /// The number of classes; `None` if the labels tell it.
    pub fn classes(self) -> Option<usize> {
        let names = self.class_names();
        if names.is_empty() { None } else { Some(names.len()) }
    }

    /// What the classes are called, from class 0; empty if that is not known.
    pub fn class_names(self) -> &'static [&'static str] {
        self.entry().class_names
    }

    /// Folders where an operating system's package puts the files, raw or as `.gz`.
    pub fn folders(self) -> &'static [&'static str] {
        self.entry().folders
    }

    /// Public addresses that have the files as `.gz`, or the [bundle](Self::bundle): each ends with a slash and takes a file name.
    pub fn mirrors(self) -> &'static [&'static str] {
        self.entry().mirrors
    }

    /// The four files: training images and labels, then test images and labels.
    pub fn files(self) -> &'static [FileEntry; 4] {
        self.entry().files
    }

    /// The zip that the set was published in, if it was in one.
    pub fn bundle(self) -> Option<&'static Bundle> {
        self.entry().bundle
    }

    fn entry(self) -> &'static Entry {
        match self {
            Name::Mnist => &MNIST,
            Name::FashionMnist => &FASHION_MNIST,
            Name::Kmnist => &KMNIST,
            Name::Qmnist => &QMNIST,
            Name::EmnistBalanced => &emnist::BALANCED,
            Name::EmnistLetters => &emnist::LETTERS,
            Name::EmnistDigits => &emnist::DIGITS,
            Name::EmnistMnist => &emnist::MNIST,
            Name::EmnistByMerge => &emnist::BYMERGE,
            Name::EmnistByClass => &emnist::BYCLASS,
            Name::Custom => &CUSTOM,
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Name {
    type Err = DatasetError;

    /// # Errors
    /// [`DatasetError::UnknownName`], which lists the names there are.
    fn from_str(text: &str) -> Result<Name, DatasetError> {
        Name::ALL.into_iter().find(|name| name.as_str() == text).ok_or_else(|| DatasetError::UnknownName {
            found: text.to_owned(),
            known: Name::ALL.map(Name::as_str).join(", "),
        })
    }
}

impl fmt::Display for Part {
    /// `train` or `test`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Part::Train => "train",
            Part::Test => "test",
        })
    }
}

/// The four files under MNIST's names, in the order train images, train labels, test images, test labels.
const fn files_of_60000(sha256: [Option<Digest>; 4], archives: [Option<Archive>; 4]) -> [FileEntry; 4] {
    let mut files = FILES;
    let shapes: [&'static [usize]; 4] = [&[60_000, 28, 28], &[60_000], &[10_000, 28, 28], &[10_000]];
    let mut at = 0;
    while at < 4 {
        files[at].shape = Some(shapes[at]);
        files[at].sha256 = sha256[at];
        files[at].archive = archives[at];
        at += 1;
    }
    files
}

const fn file(part: Part, content: Content, name: &'static str) -> FileEntry {
    FileEntry {
        part,
        content,
        name,
        element_type: ElementType::U8,
        shape: None,
        sha256: None,
        archive: None,
        original: None,
    }
}

const fn digest(hex: &str) -> Option<Digest> {
    Some(Digest::from_hex(hex))
}

const fn archive(len: u64, hex: &str) -> Option<Archive> {
    Some(Archive { len: Some(len), digest: ArchiveDigest::Sha256(Digest::from_hex(hex)) })
}

const FILES: [FileEntry; 4] = [
    file(Part::Train, Content::Images, "train-images-idx3-ubyte"),
    file(Part::Train, Content::Labels, "train-labels-idx1-ubyte"),
    file(Part::Test, Content::Images, "t10k-images-idx3-ubyte"),
    file(Part::Test, Content::Labels, "t10k-labels-idx1-ubyte"),
];

static MNIST: Entry = Entry {
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
            archive(9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
            archive(28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
            archive(1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
            archive(4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
        ],
    ),
    bundle: None,
};

static FASHION_MNIST: Entry = Entry {
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
    bundle: None,
};

/// The digests of the contents were never published, so only the archives as published can be verified.
static KMNIST: Entry = Entry {
    name: "kmnist",
    title: "Kuzushiji-MNIST",
    class_names: &["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"],
    folders: &[],
    mirrors: &["http://codh.rois.ac.jp/kmnist/dataset/kmnist/"],
    files: &files_of_60000(
        [None; 4],
        [
            archive(18_165_135, "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4"),
            archive(29_497, "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17"),
            archive(3_041_136, "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5"),
            archive(5_120, "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c"),
        ],
    ),
    bundle: None,
};

/// Of each sample, column 0 of the labels is the class; the others say where in NIST's database it is from.
static QMNIST: Entry = Entry {
    name: "qmnist",
    title: "QMNIST",
    class_names: MNIST.class_names,
    folders: &[],
    mirrors: &["https://raw.githubusercontent.com/facebookresearch/qmnist/master/"],
    files: &[
        qmnist(
            Part::Train,
            Content::Images,
            "qmnist-train-images-idx3-ubyte",
            "ed72d4157d28c017586c42bc6afe6370",
        ),
        qmnist(
            Part::Train,
            Content::Labels,
            "qmnist-train-labels-idx2-int",
            "0058f8dd561b90ffdd0f734c6a30e5e4",
        ),
        qmnist(
            Part::Test,
            Content::Images,
            "qmnist-test-images-idx3-ubyte",
            "1394631089c404de565df7b7aeaf9412",
        ),
        qmnist(
            Part::Test,
            Content::Labels,
            "qmnist-test-labels-idx2-int",
            "5b5b05890a5e13444e108efe57b788aa",
        ),
    ],
    bundle: None,
};

const fn qmnist(part: Part, content: Content, name: &'static str, md5: &str) -> FileEntry {
    let mut entry = file(part, content, name);
    match content {
        Content::Images => entry.shape = Some(&[60_000, 28, 28]),
        Content::Labels => {
            entry.element_type = ElementType::I32;
            entry.shape = Some(&[60_000, 8]);
        }
    }
    entry.archive = Some(Archive { len: None, digest: ArchiveDigest::Md5(bytes_from_hex(md5)) });
    entry
}

static CUSTOM: Entry = Entry {
    name: "custom",
    title: "custom set",
    class_names: &[],
    folders: &[],
    mirrors: &[],
    files: &FILES,
    bundle: None,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::idx::Header;

    #[test]
    fn names_round_trip() {
        for name in Name::ALL {
            assert_eq!(name.as_str().parse::<Name>().unwrap(), name);
        }
        assert_eq!(
            "mnits".parse::<Name>().unwrap_err().to_string(),
            "unknown data set \"mnits\", expected one of mnist, fashion-mnist, kmnist, qmnist, emnist-balanced, \
             emnist-letters, emnist-digits, emnist-mnist, emnist-bymerge, emnist-byclass, custom"
        );
    }

    /// The lengths that the authors published beside the digests.
    #[test]
    fn shapes_have_the_published_lengths() {
        for name in [Name::Mnist, Name::FashionMnist, Name::Kmnist] {
            let lens = name
                .files()
                .map(|file| Header::new(ElementType::U8, file.shape.unwrap_or_default()).unwrap().file_len());
            assert_eq!(lens, [47_040_016, 60_008, 7_840_016, 10_008], "{name}");
            assert_eq!(name.classes(), Some(10));
            assert!(name.mirrors().iter().all(|mirror| mirror.ends_with('/')));
        }
        let lens = Name::Qmnist
            .files()
            .map(|file| Header::new(file.element_type, file.shape.unwrap_or_default()).unwrap().file_len());
        assert_eq!(lens, [47_040_016, 1_920_012, 47_040_016, 1_920_012]);
        assert_eq!(Name::Custom.classes(), None);
    }
}
