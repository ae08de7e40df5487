//! Object headers: the messages that describe a group or an array.

use super::cursor::{Cursor, UNDEFINED};
use super::message::{self, Attribute, Datatype, Storage};
use super::reader::Reader;
use crate::keras::error::ImportError;

/// A message of a header.
#[derive(Clone, Copy)]
pub(super) struct Message<'a> {
    pub(super) kind: u16,
    pub(super) data: &'a [u8],
}

// The kinds of messages.
const DATASPACE: u16 = 0x01;
pub(super) const LINK_INFO: u16 = 0x02;
const DATATYPE: u16 = 0x03;
pub(super) const LINK: u16 = 0x06;
const LAYOUT: u16 = 0x08;
const ATTRIBUTE: u16 = 0x0C;
const CONTINUATION: u16 = 0x10;
pub(super) const SYMBOL_TABLE: u16 = 0x11;
const ATTRIBUTE_INFO: u16 = 0x15;

/// The most continuation blocks of a header.
const MAX_BLOCKS: usize = 256;
/// The flag of a message whose data are a reference to another object.
const SHARED: u8 = 1 << 1;

/// The description of an array.
pub(super) struct Dataset<'a> {
    pub(super) shape: Vec<usize>,
    pub(super) datatype: Datatype,
    pub(super) storage: Storage<'a>,
}

impl<'a> Reader<'a> {
    /// Calls `visit` with each message of the header at an address.
    pub(super) fn each_message(
        &self,
        address: u64,
        visit: &mut dyn FnMut(Message<'a>) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        let mut cursor = self.at(address)?;
        let version_2 = cursor.left() >= 4 && cursor.clone().take(4)? == b"OHDR";
        let (mut block, order) = if version_2 {
            cursor.skip(5)?;
            let flags = cursor.u8()?;
            cursor.skip(if flags & 0x20 != 0 { 16 } else { 0 } + if flags & 0x10 != 0 { 4 } else { 0 })?;
            let size = cursor.number(1 << (flags & 3))?;
            (cursor.take_u64(size)?, flags & 4 != 0)
        } else {
            let version = cursor.u8()?;
            if version != 1 {
                return Err(ImportError::damaged(&format!("no object header at byte {address}")));
            }
            cursor.skip(7)?;
            let size = cursor.u32()?;
            cursor.skip(4)?;
            (cursor.take_u64(size.into())?, false)
        };
        let head = if version_2 { 4 + if order { 2 } else { 0 } } else { 8 };
        // Continuation blocks, in the order of the messages that name them.
        let mut more: Vec<(u64, u64)> = Vec::new();
        let mut next = 0;
        loop {
            let mut cursor = Cursor::new(block);
            // Fewer bytes than a message's head at the end are a gap.
            while cursor.left() >= head {
                self.step()?;
                let kind = if version_2 { u16::from(cursor.u8()?) } else { cursor.u16()? };
                let size = cursor.u16()?;
                let flags = cursor.u8()?;
                cursor.skip(head - if version_2 { 4 } else { 5 })?;
                let data = cursor.take(size.into())?;
                if kind == CONTINUATION {
                    if more.len() == MAX_BLOCKS {
                        return Err(ImportError::damaged(&format!(
                            "a header of more than {MAX_BLOCKS} blocks"
                        )));
                    }
                    let mut place = Cursor::new(data);
                    more.push((place.u64()?, place.u64()?));
                } else if flags & SHARED == 0 {
                    visit(Message { kind, data })?;
                } else if [DATASPACE, DATATYPE, LAYOUT, ATTRIBUTE].contains(&kind) {
                    return Err(ImportError::Hdf5(
                        "has messages shared between objects, which Keras does not write".to_owned(),
                    ));
                }
            }
            let Some(&(address, length)) = more.get(next) else { return Ok(()) };
            next += 1;
            self.step()?;
            block = if version_2 {
                let length = length
                    .checked_sub(8)
                    .ok_or_else(|| ImportError::damaged("a header block is too short"))?;
                self.signed(address, b"OCHK")?.take_u64(length)?
            } else {
                self.at(address)?.take_u64(length)?
            };
        }
    }

    /// The attribute of this name of the object at an address.
    pub(super) fn attribute(&self, address: u64, name: &str) -> Result<Option<Attribute<'a>>, ImportError> {
        let mut found = None;
        self.each_message(address, &mut |message| {
            match message.kind {
                ATTRIBUTE => {
                    let (other, attribute) = message::attribute(message.data)?;
                    if other == name.as_bytes() {
                        found = Some(attribute?);
                    }
                }
                ATTRIBUTE_INFO => {
                    let mut info = Cursor::new(message.data);
                    info.skip(1)?;
                    let flags = info.u8()?;
                    info.skip(if flags & 1 != 0 { 2 } else { 0 })?;
                    if info.u64()? != UNDEFINED {
                        return Err(ImportError::Hdf5(
                            "has attributes in a heap, which Keras does not write".to_owned(),
                        ));
                    }
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// The description of the array at an address.
    pub(super) fn dataset(&self, address: u64, path: &str) -> Result<Dataset<'a>, ImportError> {
        let (mut shape, mut datatype, mut storage) = (None, None, None);
        self.each_message(address, &mut |message| {
            match message.kind {
                DATASPACE => shape = Some(message::dataspace(&mut Cursor::new(message.data))?),
                DATATYPE => datatype = Some(message::datatype(&mut Cursor::new(message.data))?),
                LAYOUT => storage = Some(message::layout(self.bytes, message.data)?),
                _ => {}
            }
            Ok(())
        })?;
        match (shape, datatype, storage) {
            (Some(shape), Some(datatype), Some(storage)) => Ok(Dataset { shape, datatype, storage }),
            _ => Err(ImportError::weights(path, "not an array")),
        }
    }
}
