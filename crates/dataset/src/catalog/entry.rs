//! What the catalog records of a set and of its files.

use std::fmt;

use ziffer_base::digest::Digest;

use crate::idx::ElementType;

/// The two splits of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// The training set. The validation set is cut off from it.
    Train,
    /// The test set.
    Test,
}

impl fmt::Display for Split {
    /// `train` or `test`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Split::Train => "train",
            Split::Test => "test",
        })
    }
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Content {
    /// Images.
    Images,
    /// Labels.
    Labels,
}

/// One of the four files of a set.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct FileEntry {
    /// The split that the file belongs to.
    pub split: Split,
    /// What the file holds.
    pub content: Content,
    /// The name of the raw file. The gzip file adds `.gz`.
    pub name: &'static str,
    /// The type of the values: `u8`, or `i32` for labels with further columns.
    pub element_type: ElementType,
    /// The shape; `None` if any shape is allowed.
    pub shape: Option<&'static [usize]>,
    /// The SHA-256 digest of the raw file, if it is known.
    pub sha256: Option<Digest>,
    /// The published gzip file, if it is known. Other gzip files of the same content have other digests.
    pub gzip: Option<GzipFile>,
    /// The published file, if it has another name and another form than the file that is kept.
    pub published: Option<PublishedFile>,
}

/// A published file that is transformed before it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublishedFile {
    /// The name of the raw file. The gzip file adds `.gz`.
    pub name: &'static str,
    /// How to get the content that is kept.
    pub transform: Transform,
}

/// How the content that is kept follows from the published content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transform {
    /// Images are square and stored column by column: rows and columns are swapped.
    Transpose,
    /// Labels start from this number: it is subtracted, so that they start from 0.
    SubtractFromLabels(u8),
}

/// A zip archive that several sets were published in. It has each file under its published name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Archive {
    /// The common title of its sets.
    pub title: &'static str,
    /// The name of the archive on its mirrors.
    pub name: &'static str,
    /// The name of the cache folder that it is kept in, beside those of the sets.
    pub folder: &'static str,
    /// The length in bytes.
    pub len: u64,
    /// The SHA-256 digest.
    pub sha256: Digest,
}

/// A published `.gz` file.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct GzipFile {
    /// The length in bytes, if it is known.
    pub len: Option<u64>,
    /// The digest.
    pub digest: PublishedDigest,
}

/// The digest that a gzip file was published with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishedDigest {
    /// SHA-256.
    Sha256(Digest),
    /// MD5, which detects accidental damage but no deliberate forgery.
    Md5([u8; 16]),
}

/// Everything that [`Name`](super::Name) knows of a set.
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) class_names: &'static [&'static str],
    pub(super) folders: &'static [&'static str],
    pub(super) mirrors: &'static [&'static str],
    pub(super) files: &'static [FileEntry; 4],
    pub(super) archive: Option<&'static Archive>,
}

/// The four files under MNIST's names, in the order train images, train labels, test images, test labels. Nothing else is
/// known of them.
pub(super) const FILES: [FileEntry; 4] = [
    file(Split::Train, Content::Images, "train-images-idx3-ubyte"),
    file(Split::Train, Content::Labels, "train-labels-idx1-ubyte"),
    file(Split::Test, Content::Images, "t10k-images-idx3-ubyte"),
    file(Split::Test, Content::Labels, "t10k-labels-idx1-ubyte"),
];

/// A file of `u8` of which nothing else is known.
pub(super) const fn file(split: Split, content: Content, name: &'static str) -> FileEntry {
    FileEntry {
        split,
        content,
        name,
        element_type: ElementType::U8,
        shape: None,
        sha256: None,
        gzip: None,
        published: None,
    }
}
