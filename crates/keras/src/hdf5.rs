//! What Keras writes of HDF5, read where it lies in the bytes.
//!
//! Of the [format](https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html) this is what h5py's default settings
//! produce, and its newest form for small groups: object headers of versions 1 and 2, symbol tables and links in the header,
//! attributes of texts, arrays of floats in one run of bytes. Offsets and lengths have 8 bytes.
//!
//! The file may be hostile. Nothing is copied but names, of which there is a most, and arrays, which must lie in the file in
//! full; two cannot lie at one place. Nothing recurses but by the levels of a B-tree, which must fall. Each message, entry
//! and node that is looked at is counted, so that no cycle is followed for long.

mod cursor;
mod group;
mod message;
mod object;

use std::cell::Cell;

use self::cursor::Cursor;
use self::message::{Attribute, Datatype, Storage};
use crate::ImportError;
use crate::error::shown;

/// What an HDF5 file begins with.
pub(crate) const MAGIC: &[u8] = b"\x89HDF\r\n\x1a\n";

/// The most steps that reading a file takes: messages, entries and nodes. A network of a hundred layers takes some 20,000.
const MOST_STEPS: u32 = 1 << 22;
/// The most members of a group, and texts of an attribute, that are listed.
const MOST_NAMES: usize = 1000;
/// The longest name of a member, in bytes.
const LONGEST_NAME: usize = 255;
/// The address of what is not there.
const UNDEFINED: u64 = u64::MAX;

/// A file.
pub(crate) struct Hdf5<'a> {
    bytes: &'a [u8],
    /// The address of the root group's header.
    root: u64,
    /// Steps that may still be taken.
    steps: Cell<u32>,
    /// Bytes that arrays not yet read can have at most.
    unread: Cell<usize>,
}

impl<'a> Hdf5<'a> {
    /// Reads the superblock.
    pub(crate) fn open(bytes: &'a [u8]) -> Result<Self, ImportError> {
        let mut cursor = Cursor::at(bytes, MAGIC.len() as u64)?;
        let (sizes, base, end, root) = match cursor.u8()? {
            version @ (0 | 1) => {
                cursor.skip(4)?;
                let sizes = [cursor.u8()?, cursor.u8()?];
                cursor.skip(if version == 0 { 9 } else { 13 })?;
                let (base, _, end, _) = (cursor.u64()?, cursor.u64()?, cursor.u64()?, cursor.u64()?);
                // The root's entry in a symbol table: where its name lies, its header.
                cursor.u64()?;
                (sizes, base, end, cursor.u64()?)
            }
            2 | 3 => {
                let sizes = [cursor.u8()?, cursor.u8()?];
                cursor.skip(1)?;
                let (base, _, end) = (cursor.u64()?, cursor.u64()?, cursor.u64()?);
                (sizes, base, end, cursor.u64()?)
            }
            version => return Err(damaged(&format!("version {version} of the superblock, expected 0 to 3"))),
        };
        if sizes != [8, 8] || base != 0 {
            let problem =
                format!("offsets and lengths of {sizes:?} bytes from {base}, expected [8, 8] from 0");
            return Err(ImportError::Hdf5(problem));
        }
        if end > bytes.len() as u64 {
            let problem = format!("cut off: {} bytes of {end}", bytes.len());
            return Err(ImportError::Hdf5(problem));
        }
        Ok(Self { bytes, root, steps: Cell::new(MOST_STEPS), unread: Cell::new(bytes.len()) })
    }

    /// The text of an attribute of a group, if there is one of that name.
    pub(crate) fn text(&self, group: &str, attribute: &str) -> Result<Option<&'a str>, ImportError> {
        match self.texts(group, attribute)?.as_deref() {
            None => Ok(None),
            Some(&[text]) => Ok(Some(text)),
            Some(texts) => {
                let problem = format!("attribute {attribute} has {} texts, expected one", texts.len());
                Err(wrong(group, &problem))
            }
        }
    }

    /// The texts of an attribute of a group, if there are both.
    pub(crate) fn texts(&self, group: &str, attribute: &str) -> Result<Option<Vec<&'a str>>, ImportError> {
        let Some(address) = self.find(group)? else { return Ok(None) };
        let Some(Attribute { datatype, shape, data }) = self.attribute(address, attribute)? else {
            return Ok(None);
        };
        let count = shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size));
        let count = count.filter(|&count| count <= MOST_NAMES).ok_or_else(|| {
            wrong(group, &format!("attribute {attribute} of {shape:?}, expected at most {MOST_NAMES} texts"))
        })?;
        // Of no texts, Keras writes no numbers.
        if count == 0 {
            return Ok(Some(Vec::new()));
        }
        let mut cursor = Cursor::new(data);
        let texts = (0..count).map(|_| {
            let text = match datatype {
                Datatype::Text { size } => {
                    let text = cursor.take(size)?;
                    let end =
                        text.iter().rposition(|byte| !matches!(byte, 0 | b' ')).map_or(0, |last| last + 1);
                    &text[..end]
                }
                Datatype::LongText => self.long_text(&mut cursor)?,
                other => {
                    return Err(wrong(group, &format!("attribute {attribute} of {other}, expected texts")));
                }
            };
            std::str::from_utf8(text)
                .map_err(|_| wrong(group, &format!("attribute {attribute} is not UTF-8")))
        });
        texts.collect::<Result<_, _>>().map(Some)
    }

    /// The names of a group's members, sorted; none if there is no such group.
    pub(crate) fn members(&self, group: &str) -> Result<Vec<String>, ImportError> {
        let mut names = Vec::new();
        if let Some(address) = self.find(group)? {
            self.each_link(address, &mut |name, _| {
                if names.len() == MOST_NAMES {
                    return Err(wrong(group, &format!("more than {MOST_NAMES} members")));
                }
                names.push(String::from_utf8_lossy(name).into_owned());
                Ok(())
            })?;
        }
        names.sort_unstable();
        Ok(names)
    }

    /// The shape of an array, by its path.
    pub(crate) fn shape(&self, path: &str) -> Result<Vec<usize>, ImportError> {
        let address = self.find(path)?.ok_or_else(|| wrong(path, "not in the file"))?;
        Ok(self.dataset(address, path)?.shape)
    }

    /// The numbers of an array of floats, by its path.
    pub(crate) fn array(&self, path: &str) -> Result<Vec<f32>, ImportError> {
        let address = self.find(path)?.ok_or_else(|| wrong(path, "not in the file"))?;
        let dataset = self.dataset(address, path)?;
        let shape = dataset.shape;
        let Datatype::Float { size: width, big_endian } = dataset.datatype else {
            let problem = format!("{}, expected numbers of type float32 or float64", dataset.datatype);
            return Err(wrong(path, &problem));
        };
        let bytes = shape.iter().try_fold(width, |product, &size| product.checked_mul(size));
        let stored = match dataset.storage {
            Storage::Run(stored) => stored,
            Storage::Chunks => {
                let advice =
                    "expected plain storage as Keras writes it; repack with h5repack -f NONE -l CONTI";
                return Err(wrong(path, &format!("stored in chunks, perhaps compressed, {advice}")));
            }
        };
        if bytes != Some(stored.len()) {
            let problem = format!("{} bytes for {width}-byte numbers of {shape:?}", stored.len());
            return Err(wrong(path, &problem));
        }
        let unread = self.unread.get().checked_sub(stored.len());
        self.unread.set(unread.ok_or_else(|| wrong(path, "lies where other arrays do"))?);
        floats(stored, width, big_endian).map_err(|problem| wrong(path, &problem))
    }

    /// The address of what has that path, if there is something.
    fn find(&self, path: &str) -> Result<Option<u64>, ImportError> {
        let mut address = self.root;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let mut found = None;
            self.each_link(address, &mut |other, member| {
                if other == name.as_bytes() {
                    found = Some(member);
                }
                Ok(())
            })?;
            match found {
                Some(member) => address = member,
                None => return Ok(None),
            }
        }
        Ok(Some(address))
    }

    /// Counts a step.
    fn step(&self) -> Result<(), ImportError> {
        let left = self.steps.get().checked_sub(1);
        self.steps.set(left.ok_or_else(|| damaged("its parts refer to each other without end"))?);
        Ok(())
    }

    /// A cursor at an address, behind the signature that must be there.
    fn signed(&self, address: u64, signature: &[u8; 4]) -> Result<Cursor<'a>, ImportError> {
        let mut cursor = Cursor::at(self.bytes, address)?;
        if cursor.take(signature.len())? != signature {
            let signature = String::from_utf8_lossy(signature);
            return Err(damaged(&format!("no {signature} at byte {address}")));
        }
        Ok(cursor)
    }
}

/// Numbers of 4 bytes as they are, numbers of 8 rounded.
fn floats(stored: &[u8], width: usize, big_endian: bool) -> Result<Vec<f32>, String> {
    if width == 4 {
        let values = stored.as_chunks().0.iter();
        return Ok(values
            .map(|&b| if big_endian { f32::from_be_bytes(b) } else { f32::from_le_bytes(b) })
            .collect());
    }
    let values = stored.as_chunks().0.iter();
    let values = values.map(|&b| if big_endian { f64::from_be_bytes(b) } else { f64::from_le_bytes(b) });
    values
        .map(|value| match value as f32 {
            single if single.is_infinite() && value.is_finite() => {
                Err(format!("the number {value:e} is too large for single precision"))
            }
            single => Ok(single),
        })
        .collect()
}

fn damaged(problem: &str) -> ImportError {
    ImportError::Hdf5(format!("damaged: {problem}"))
}

fn wrong(path: &str, problem: &str) -> ImportError {
    let path = if path.is_empty() { "/" } else { path };
    ImportError::Weights { path: shown(path), problem: problem.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_of_each_width_and_order() {
        assert_eq!(floats(&1.5_f32.to_be_bytes(), 4, true), Ok(vec![1.5]));
        assert_eq!(floats(&(-2.5_f64).to_be_bytes(), 8, true), Ok(vec![-2.5]));
        // Rounded to nearest: a third is 0x3EAAAAAB.
        assert_eq!(floats(&(1.0 / 3.0_f64).to_le_bytes(), 8, false), Ok(vec![f32::from_bits(0x3EAA_AAAB)]));
        // What is not finite stays as it is; what is must stay finite.
        let nan = f32::from_bits(0x7FC0_1234);
        assert_eq!(floats(&nan.to_le_bytes(), 4, false).unwrap()[0].to_bits(), nan.to_bits());
        assert_eq!(floats(&f64::NEG_INFINITY.to_le_bytes(), 8, false), Ok(vec![f32::NEG_INFINITY]));
        let problem = "the number 1e300 is too large for single precision";
        assert_eq!(floats(&1e300_f64.to_le_bytes(), 8, false), Err(problem.to_owned()));
    }

    #[test]
    fn no_more_arrays_are_read_than_the_file_has_room_for() {
        let file = Hdf5::open(include_bytes!("../tests/fixtures/digits.weights.h5")).unwrap();
        let kernel = "layers/dense/vars/0";
        assert_eq!((file.shape(kernel).unwrap(), file.array(kernel).unwrap().len()), (vec![784, 8], 784 * 8));
        let error = file.array(kernel).unwrap_err();
        assert_eq!(error.to_string(), "layers/dense/vars/0: lies where other arrays do");
        let error = file.array("layers/dense").unwrap_err();
        assert_eq!(error.to_string(), "layers/dense: no array, though expected to be one");
        let error = file.array("optimizer/vars/0").unwrap_err();
        assert_eq!(
            error.to_string(),
            "optimizer/vars/0: whole numbers of 8 bytes, expected numbers of type float32 or float64"
        );
    }
}
