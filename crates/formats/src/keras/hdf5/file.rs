//! An HDF5 file: its attributes, groups and arrays by path.

use std::cell::Cell;

use super::cursor::Cursor;
use super::message::{Attribute, Datatype, Storage};
use super::reader::Reader;
use crate::keras::error::ImportError;

/// The first bytes of an HDF5 file.
pub(in crate::keras) const MAGIC: &[u8] = b"\x89HDF\r\n\x1a\n";

/// The most members of a group, and texts of an attribute, that are listed.
const MAX_NAMES: usize = 1000;

/// An HDF5 file in memory.
pub(in crate::keras) struct Hdf5<'a> {
    reader: Reader<'a>,
    /// The address of the root group's header.
    root: u64,
    /// The most bytes that the arrays not yet read can have.
    unread: Cell<usize>,
}

impl<'a> Hdf5<'a> {
    /// Reads the superblock.
    pub(in crate::keras) fn open(bytes: &'a [u8]) -> Result<Self, ImportError> {
        let mut cursor = Cursor::at(bytes, MAGIC.len() as u64)?;
        let (sizes, base, end, root) = match cursor.u8()? {
            version @ (0 | 1) => {
                cursor.skip(4)?;
                let sizes = [cursor.u8()?, cursor.u8()?];
                cursor.skip(if version == 0 { 9 } else { 13 })?;
                let (base, _, end, _) = (cursor.u64()?, cursor.u64()?, cursor.u64()?, cursor.u64()?);
                // The root's symbol table entry: the offset of its name, the address of its header.
                cursor.u64()?;
                (sizes, base, end, cursor.u64()?)
            }
            2 | 3 => {
                let sizes = [cursor.u8()?, cursor.u8()?];
                cursor.skip(1)?;
                let (base, _, end) = (cursor.u64()?, cursor.u64()?, cursor.u64()?);
                (sizes, base, end, cursor.u64()?)
            }
            version => {
                return Err(ImportError::damaged(&format!("superblock version {version}, expected 0 to 3")));
            }
        };
        if sizes != [8, 8] || base != 0 {
            let problem =
                format!("offsets and lengths of {sizes:?} bytes from byte {base}, expected [8, 8] from 0");
            return Err(ImportError::Hdf5(problem));
        }
        if end > bytes.len() as u64 {
            let problem = format!("truncated: {} bytes of {end}", bytes.len());
            return Err(ImportError::Hdf5(problem));
        }
        Ok(Self { reader: Reader::new(bytes), root, unread: Cell::new(bytes.len()) })
    }

    /// The text of a group's attribute; `None` if the group or the attribute does not exist.
    pub(in crate::keras) fn text(
        &self,
        group: &str,
        attribute: &str,
    ) -> Result<Option<&'a str>, ImportError> {
        match self.texts(group, attribute)?.as_deref() {
            None => Ok(None),
            Some(&[text]) => Ok(Some(text)),
            Some(texts) => {
                let problem = format!("attribute {attribute} has {} texts, expected one", texts.len());
                Err(ImportError::weights(group, &problem))
            }
        }
    }

    /// The texts of a group's attribute; `None` if the group or the attribute does not exist.
    pub(in crate::keras) fn texts(
        &self,
        group: &str,
        attribute: &str,
    ) -> Result<Option<Vec<&'a str>>, ImportError> {
        let Some(address) = self.find(group)? else { return Ok(None) };
        let Some(Attribute { datatype, shape, data }) = self.reader.attribute(address, attribute)? else {
            return Ok(None);
        };
        let count = shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size));
        let count = count.filter(|&count| count <= MAX_NAMES).ok_or_else(|| {
            ImportError::weights(
                group,
                &format!("attribute {attribute} of {shape:?}, expected at most {MAX_NAMES} texts"),
            )
        })?;
        // Keras writes an empty list as an attribute of floats.
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
                Datatype::VariableText => self.reader.variable_text(&mut cursor)?,
                other => {
                    return Err(ImportError::weights(
                        group,
                        &format!("attribute {attribute} of {other}, expected texts"),
                    ));
                }
            };
            std::str::from_utf8(text)
                .map_err(|_| ImportError::weights(group, &format!("attribute {attribute} is not UTF-8")))
        });
        texts.collect::<Result<_, _>>().map(Some)
    }

    /// The sorted names of a group's members; none if the group does not exist.
    pub(in crate::keras) fn members(&self, group: &str) -> Result<Vec<String>, ImportError> {
        let mut names = Vec::new();
        if let Some(address) = self.find(group)? {
            self.reader.each_link(address, &mut |name, _| {
                if names.len() == MAX_NAMES {
                    return Err(ImportError::weights(group, &format!("more than {MAX_NAMES} members")));
                }
                names.push(String::from_utf8_lossy(name).into_owned());
                Ok(())
            })?;
        }
        names.sort_unstable();
        Ok(names)
    }

    /// The shape of the array at a path.
    pub(in crate::keras) fn shape(&self, path: &str) -> Result<Vec<usize>, ImportError> {
        let address = self.find(path)?.ok_or_else(|| ImportError::weights(path, "not in the file"))?;
        Ok(self.reader.dataset(address, path)?.shape)
    }

    /// The numbers of the array of floats at a path.
    pub(in crate::keras) fn array(&self, path: &str) -> Result<Vec<f32>, ImportError> {
        let address = self.find(path)?.ok_or_else(|| ImportError::weights(path, "not in the file"))?;
        let dataset = self.reader.dataset(address, path)?;
        let shape = dataset.shape;
        let Datatype::Float { size: width, big_endian } = dataset.datatype else {
            let problem = format!("{}, expected numbers of type float32 or float64", dataset.datatype);
            return Err(ImportError::weights(path, &problem));
        };
        let bytes = shape.iter().try_fold(width, |product, &size| product.checked_mul(size));
        let stored = match dataset.storage {
            Storage::Contiguous(stored) => stored,
            Storage::Chunked => {
                let problem = "stored in chunks and perhaps compressed, expected contiguous storage as Keras writes it; \
                               repack with h5repack -f NONE -l CONTI";
                return Err(ImportError::weights(path, problem));
            }
        };
        if bytes != Some(stored.len()) {
            let problem = format!("{} bytes for {width}-byte numbers of {shape:?}", stored.len());
            return Err(ImportError::weights(path, &problem));
        }
        let unread = self.unread.get().checked_sub(stored.len());
        self.unread.set(unread.ok_or_else(|| ImportError::weights(path, "shares bytes with other arrays"))?);
        floats(stored, width, big_endian).map_err(|problem| ImportError::weights(path, &problem))
    }

    /// The address of the object at a path; `None` if there is none.
    fn find(&self, path: &str) -> Result<Option<u64>, ImportError> {
        let mut address = self.root;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let mut found = None;
            self.reader.each_link(address, &mut |other, member| {
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
}

/// Numbers of 4 bytes unchanged, numbers of 8 bytes rounded.
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
                Err(format!("the number {value:e} exceeds single precision"))
            }
            single => Ok(single),
        })
        .collect()
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
        // A number that is not finite stays as it is. A finite one must stay finite.
        let nan = f32::from_bits(0x7FC0_1234);
        assert_eq!(floats(&nan.to_le_bytes(), 4, false).unwrap()[0].to_bits(), nan.to_bits());
        assert_eq!(floats(&f64::NEG_INFINITY.to_le_bytes(), 8, false), Ok(vec![f32::NEG_INFINITY]));
        let problem = "the number 1e300 exceeds single precision";
        assert_eq!(floats(&1e300_f64.to_le_bytes(), 8, false), Err(problem.to_owned()));
    }

    #[test]
    fn arrays_cannot_share_bytes() {
        let file = Hdf5::open(include_bytes!("../../../tests/keras/fixtures/digits.weights.h5")).unwrap();
        let kernel = "layers/dense/vars/0";
        assert_eq!((file.shape(kernel).unwrap(), file.array(kernel).unwrap().len()), (vec![784, 8], 784 * 8));
        let error = file.array(kernel).unwrap_err();
        assert_eq!(error.to_string(), "layers/dense/vars/0: shares bytes with other arrays");
        let error = file.array("layers/dense").unwrap_err();
        assert_eq!(error.to_string(), "layers/dense: not an array");
        let error = file.array("optimizer/vars/0").unwrap_err();
        assert_eq!(
            error.to_string(),
            "optimizer/vars/0: integers of 8 bytes, expected numbers of type float32 or float64"
        );
    }
}
