//! safetensors files put right where chance alone hardly ever puts them right: the lengths.

use serde_json::Value;

/// The most bytes of tensors that are made up.
const LARGEST: usize = 1 << 16;

/// The bytes with the length that their header of JSON has, and as much behind it as its offsets claim.
pub(super) fn framed(bytes: &[u8]) -> Option<Vec<u8>> {
    let (_, rest) = bytes.split_at_checked(8)?;
    let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<Value>();
    let header = values.next()?.ok()?;
    let (header_bytes, data) = rest.split_at_checked(values.byte_offset())?;
    let ends = header.as_object()?.values().filter_map(|tensor| tensor["data_offsets"][1].as_u64());
    let claimed = usize::try_from(ends.max().unwrap_or(0)).ok()?;
    let mut data = data.to_vec();
    data.resize(claimed.min(LARGEST), 0x3e);
    Some([&(header_bytes.len() as u64).to_le_bytes(), header_bytes, &data].concat())
}
