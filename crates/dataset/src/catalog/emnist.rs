//! EMNIST: six subsets of NIST's handwritten letters and digits, by Cohen, Afshar, Tapson and van Schaik.
//!
//! They were published in one zip archive. Its digest is known, those of its files are not. The images in it are transposed,
//! and the labels of the letters start from 1.

use ziffer_base::digest::Digest;

use super::entry::{Archive, Entry, FILES, FileEntry, PublishedFile, Transform};

static ARCHIVE: Archive = Archive {
    title: "EMNIST",
    name: "gzip.zip",
    folder: "emnist",
    len: 561_753_746,
    sha256: Digest::from_hex("fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e"),
};

/// 10 digits, 26 upper case letters, 26 lower case letters.
const CHARACTERS: [&str; 62] = [
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K",
    "L", "M", "N", "O", "P", "Q", "R", "S", "T", "U", "V", "W", "X", "Y", "Z", "a", "b", "c", "d", "e", "f",
    "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t", "u", "v", "w", "x", "y", "z",
];

const ALL_DIGITS: &[&str] = CHARACTERS.split_at(10).0;

const UPPER_CASE: &[&str] = CHARACTERS.split_at(10).1.split_at(26).0;

/// Of the lower case letters, only those that do not look like the upper case.
const MERGED: &[&str] = &[
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K",
    "L", "M", "N", "O", "P", "Q", "R", "S", "T", "U", "V", "W", "X", "Y", "Z", "a", "b", "d", "e", "f", "g",
    "h", "n", "q", "r", "t",
];

macro_rules! set {
    ($id:ident, $name:literal, $title:literal, $class_names:expr, $first_label:literal, $train:literal + $test:literal) => {
        pub(super) static $id: Entry = Entry {
            name: concat!("emnist-", $name),
            title: concat!("EMNIST ", $title),
            class_names: $class_names,
            folders: &[],
            mirrors: &["https://biometrics.nist.gov/cs_links/EMNIST/"],
            files: &[
                file(
                    0,
                    &[$train, 28, 28],
                    concat!("emnist-", $name, "-train-images-idx3-ubyte"),
                    Transform::Transpose,
                ),
                file(
                    1,
                    &[$train],
                    concat!("emnist-", $name, "-train-labels-idx1-ubyte"),
                    Transform::SubtractFromLabels($first_label),
                ),
                file(
                    2,
                    &[$test, 28, 28],
                    concat!("emnist-", $name, "-test-images-idx3-ubyte"),
                    Transform::Transpose,
                ),
                file(
                    3,
                    &[$test],
                    concat!("emnist-", $name, "-test-labels-idx1-ubyte"),
                    Transform::SubtractFromLabels($first_label),
                ),
            ],
            archive: Some(&ARCHIVE),
        };
    };
}

set!(BALANCED, "balanced", "Balanced", MERGED, 0, 112_800 + 18_800);
set!(LETTERS, "letters", "Letters", UPPER_CASE, 1, 124_800 + 20_800);
set!(DIGITS, "digits", "Digits", ALL_DIGITS, 0, 240_000 + 40_000);
set!(MNIST, "mnist", "MNIST", ALL_DIGITS, 0, 60_000 + 10_000);
set!(BYMERGE, "bymerge", "ByMerge", MERGED, 0, 697_932 + 116_323);
set!(BYCLASS, "byclass", "ByClass", &CHARACTERS, 0, 697_932 + 116_323);

const fn file(at: usize, shape: &'static [usize], name: &'static str, transform: Transform) -> FileEntry {
    let mut entry = FILES[at];
    entry.shape = Some(shape);
    entry.published = Some(PublishedFile { name, transform });
    entry
}

#[cfg(test)]
mod tests {
    use crate::catalog::{Content, Name, Transform};

    /// The authors published these counts.
    #[test]
    fn classes_and_sizes() {
        let table = [
            (Name::EmnistBalanced, 47, 112_800, 18_800),
            (Name::EmnistLetters, 26, 124_800, 20_800),
            (Name::EmnistDigits, 10, 240_000, 40_000),
            (Name::EmnistMnist, 10, 60_000, 10_000),
            (Name::EmnistByMerge, 47, 697_932, 116_323),
            (Name::EmnistByClass, 62, 697_932, 116_323),
        ];
        for (name, classes, train, test) in table {
            assert_eq!(name.classes(), Some(classes), "{name}");
            let counts = name.files().map(|file| file.shape.unwrap_or_default()[0]);
            assert_eq!(counts, [train, train, test, test], "{name}");
            for file in name.files() {
                let published = file.published.unwrap();
                assert!(published.name.starts_with(name.as_str()), "{}", published.name);
                match file.content {
                    Content::Images => {
                        assert_eq!(
                            (&file.shape.unwrap()[1..], published.transform),
                            (&[28, 28][..], Transform::Transpose)
                        );
                    }
                    Content::Labels => {
                        let first = u8::from(name == Name::EmnistLetters);
                        assert_eq!(published.transform, Transform::SubtractFromLabels(first));
                    }
                }
            }
        }
        assert_eq!(Name::EmnistLetters.class_names()[25], "Z");
        assert_eq!(Name::EmnistByClass.class_names()[36], "a");
        assert_eq!(Name::EmnistBalanced.class_names()[38], "d");
        assert_eq!(
            Name::EmnistLetters.files().map(|file| file.published.unwrap().name),
            [
                "emnist-letters-train-images-idx3-ubyte",
                "emnist-letters-train-labels-idx1-ubyte",
                "emnist-letters-test-images-idx3-ubyte",
                "emnist-letters-test-labels-idx1-ubyte",
            ]
        );
    }
}
