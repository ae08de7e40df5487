//! Groups: the names and addresses of their members, and the heaps that hold names and texts.

use super::cursor::{Cursor, UNDEFINED};
use super::object::{LINK, LINK_INFO, Message, SYMBOL_TABLE};
use super::reader::Reader;
use crate::keras::error::ImportError;

/// Called with a name and an address.
type Visit<'v> = dyn FnMut(&[u8], u64) -> Result<(), ImportError> + 'v;

/// The most levels of a B-tree. Nodes have 16 children or more.
const MAX_LEVELS: u8 = 8;
/// The most bytes of a name.
const MAX_NAME_LEN: usize = 255;

impl<'a> Reader<'a> {
    /// Calls `visit` with the name and address of each member of the group at an address. Soft links are skipped.
    pub(super) fn each_link(&self, address: u64, visit: &mut Visit<'_>) -> Result<(), ImportError> {
        self.each_message(address, &mut |Message { kind, data }| {
            let mut cursor = Cursor::new(data);
            match kind {
                SYMBOL_TABLE => {
                    let (tree, heap) = (cursor.u64()?, cursor.u64()?);
                    self.each_in_tree(tree, MAX_LEVELS, self.names(heap)?, visit)
                }
                LINK_INFO => {
                    cursor.skip(1)?;
                    let flags = cursor.u8()?;
                    cursor.skip(if flags & 1 != 0 { 8 } else { 0 })?;
                    if cursor.u64()? != UNDEFINED {
                        return Err(ImportError::Hdf5(
                            "has links in a heap, which Keras does not write".to_owned(),
                        ));
                    }
                    Ok(())
                }
                LINK => {
                    cursor.skip(1)?;
                    let flags = cursor.u8()?;
                    let hard = flags & 8 == 0 || cursor.u8()? == 0;
                    cursor.skip(if flags & 4 != 0 { 8 } else { 0 } + if flags & 16 != 0 { 1 } else { 0 })?;
                    let length = cursor.number(1 << (flags & 3))?;
                    let name = cursor.take_u64(length)?;
                    if hard { visit(checked(name)?, cursor.u64()?) } else { Ok(()) }
                }
                _ => Ok(()),
            }
        })
    }

    /// The names of a symbol table: the data of a local heap.
    fn names(&self, address: u64) -> Result<&'a [u8], ImportError> {
        let mut heap = self.signed(address, b"HEAP")?;
        heap.skip(4)?;
        let (size, _free, data) = (heap.u64()?, heap.u64()?, heap.u64()?);
        self.at(data)?.take_u64(size)
    }

    /// Calls `visit` with each member below a B-tree node, whose level must be less than `levels`.
    fn each_in_tree(
        &self,
        address: u64,
        levels: u8,
        names: &'a [u8],
        visit: &mut Visit<'_>,
    ) -> Result<(), ImportError> {
        let mut node = self.signed(address, b"TREE")?;
        let (kind, level, children) = (node.u8()?, node.u8()?, node.u16()?);
        if kind != 0 || level >= levels {
            return Err(ImportError::damaged(&format!(
                "expected a B-tree of groups below level {levels} at byte {address}"
            )));
        }
        // The siblings' addresses. Then a key precedes each child.
        node.skip(16)?;
        for _ in 0..children {
            self.step()?;
            node.skip(8)?;
            let child = node.u64()?;
            if level > 0 {
                self.each_in_tree(child, level, names, visit)?;
            } else {
                self.each_in_table(child, names, visit)?;
            }
        }
        Ok(())
    }

    /// Calls `visit` with each entry of a symbol table node.
    fn each_in_table(&self, address: u64, names: &'a [u8], visit: &mut Visit<'_>) -> Result<(), ImportError> {
        /// The cache type of a soft link.
        const SOFT: u32 = 2;
        let mut table = self.signed(address, b"SNOD")?;
        table.skip(2)?;
        for _ in 0..table.u16()? {
            self.step()?;
            let (name, member, cached) = (table.u64()?, table.u64()?, table.u32()?);
            table.skip(20)?;
            let name = Cursor::at(names, name)?.rest();
            let end = name.iter().take(MAX_NAME_LEN + 1).position(|&byte| byte == 0);
            let name = name.get(..end.unwrap_or(name.len())).unwrap_or(name);
            if cached != SOFT {
                visit(checked(name)?, member)?;
            }
        }
        Ok(())
    }

    /// The text in a global heap that an element refers to.
    pub(super) fn variable_text(&self, element: &mut Cursor<'_>) -> Result<&'a [u8], ImportError> {
        let (length, address, number) = (element.u32()?, element.u64()?, element.u32()?);
        if length == 0 {
            return Ok(&[]);
        }
        let mut heap = self.signed(address, b"GCOL")?;
        heap.skip(4)?;
        // The size includes the 16 bytes of the heap's own header.
        let size = heap
            .u64()?
            .checked_sub(16)
            .ok_or_else(|| ImportError::damaged("a heap smaller than its header"))?;
        let mut heap = Cursor::new(heap.take_u64(size)?);
        while heap.left() >= 16 {
            self.step()?;
            let other = heap.u16()?;
            heap.skip(6)?;
            let size = heap.u64()?;
            // The free space comes last.
            if other == 0 {
                break;
            }
            let object = heap.take_u64(size)?;
            if u32::from(other) == number {
                return Cursor::new(object).take(length as usize);
            }
            heap.skip(object.len().next_multiple_of(8) - object.len())?;
        }
        Err(ImportError::damaged(&format!("no object {number} in the heap at byte {address}")))
    }
}

/// Refuses a name that is too long.
fn checked(name: &[u8]) -> Result<&[u8], ImportError> {
    if name.len() > MAX_NAME_LEN {
        return Err(ImportError::damaged(&format!("a name of more than {MAX_NAME_LEN} bytes")));
    }
    Ok(name)
}
