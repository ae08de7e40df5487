//! The catalog of data sets: files with their shapes and digests, classes, public mirrors.
//!
//! A new set takes a variant of [`Name`] and an entry, as those in `catalog/mnist.rs`.
//!
//! ```
//! use ziffer_dataset::catalog::Name;
//!
//! let name: Name = "kmnist".parse()?;
//! assert_eq!((name.title(), name.classes()), ("Kuzushiji-MNIST", Some(10)));
//! # Ok::<(), ziffer_dataset::DatasetError>(())
//! ```

mod emnist;
mod entry;
mod mnist;

use std::fmt;
use std::str::FromStr;

use self::entry::Entry;
pub use self::entry::{
    Archive, Content, FileEntry, GzipFile, PublishedDigest, PublishedFile, Split, Transform,
};
use crate::error::DatasetError;

/// The name of a data set. [`Display`](fmt::Display) and [`FromStr`] use the names of the command line.
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
    /// `qmnist`: MNIST's digits, prepared anew from the same source, with 50,000 more test images, by Yadav and Bottou.
    Qmnist,
    /// `emnist-balanced`: letters and digits, equally many of each class, by Cohen and others, as all of EMNIST.
    EmnistBalanced,
    /// `emnist-letters`: letters; upper and lower case are one class.
    EmnistLetters,
    /// `emnist-digits`: digits.
    EmnistDigits,
    /// `emnist-mnist`: digits, as many as MNIST has.
    EmnistMnist,
    /// `emnist-bymerge`: all of the database; upper and lower case are one class where they look alike.
    EmnistByMerge,
    /// `emnist-byclass`: all of the database.
    EmnistByClass,
    /// `custom`: any four IDX files under MNIST's names. The files determine the image shape and the number of classes.
    Custom,
}

impl Name {
    /// Every set of the catalog.
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

    /// The name of the set on the command line and of its cache folder.
    pub fn as_str(self) -> &'static str {
        self.entry().name
    }

    /// The title that its authors gave it.
    pub fn title(self) -> &'static str {
        self.entry().title
    }

    /// The number of classes; `None` if it follows from the labels.
    pub fn classes(self) -> Option<usize> {
        let names = self.class_names();
        if names.is_empty() { None } else { Some(names.len()) }
    }

    /// The names of the classes, from class 0; empty if they are unknown.
    pub fn class_names(self) -> &'static [&'static str] {
        self.entry().class_names
    }

    /// Folders where a package of the operating system installs the files, raw or as `.gz`.
    pub fn folders(self) -> &'static [&'static str] {
        self.entry().folders
    }

    /// Public mirrors of the `.gz` files, or of the [archive](Self::archive): URLs that end with a slash, to which a file name is
    /// appended.
    pub fn mirrors(self) -> &'static [&'static str] {
        self.entry().mirrors
    }

    /// The four files: training images and labels, then test images and labels.
    pub fn files(self) -> &'static [FileEntry; 4] {
        self.entry().files
    }

    /// The zip archive that the set was published in with others; `None` if it has files of its own.
    pub fn archive(self) -> Option<&'static Archive> {
        self.entry().archive
    }

    fn entry(self) -> &'static Entry {
        match self {
            Name::Mnist => &mnist::MNIST,
            Name::FashionMnist => &mnist::FASHION_MNIST,
            Name::Kmnist => &mnist::KMNIST,
            Name::Qmnist => &mnist::QMNIST,
            Name::EmnistBalanced => &emnist::BALANCED,
            Name::EmnistLetters => &emnist::LETTERS,
            Name::EmnistDigits => &emnist::DIGITS,
            Name::EmnistMnist => &emnist::MNIST,
            Name::EmnistByMerge => &emnist::BYMERGE,
            Name::EmnistByClass => &emnist::BYCLASS,
            Name::Custom => &mnist::CUSTOM,
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
    /// [`DatasetError::UnknownName`], which lists the known names.
    fn from_str(text: &str) -> Result<Name, DatasetError> {
        Name::ALL.into_iter().find(|name| name.as_str() == text).ok_or_else(|| DatasetError::UnknownName {
            found: text.to_owned(),
            known: Name::ALL.map(Name::as_str).join(", "),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::idx::{ElementType, Header};

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

    /// The authors published these lengths beside the digests.
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
