//! A reader of the part of HDF5 that Keras writes. It reads from bytes in memory and copies only names and arrays.
//!
//! Of the [format](https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html) it supports what h5py writes by
//! default, and the newest form of small groups: object headers of versions 1 and 2, symbol tables and links in the header,
//! attributes of texts, and contiguous arrays of floats. Offsets and lengths have 8 bytes.
//!
//! The file may be hostile. The number of names is limited. An array must lie in the file in full, and two arrays cannot
//! share bytes. Recursion follows only the levels of a B-tree, which must decrease. Each message, entry and node that is
//! visited counts toward a limit, so a cycle ends in an error.

mod cursor;
mod file;
mod group;
mod message;
mod object;
mod reader;

pub(super) use file::{Hdf5, MAGIC};
