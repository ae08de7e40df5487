//! Corrects the lengths of a safetensors file, which random bytes hardly ever match.

use serde_json::Value;

/// The largest length of the tensors' data.
const MAX_DATA_BYTES: usize = 1 << 16;

/// The bytes with the length of their JSON header, and with as much data as the header's offsets require.
pub(super) fn framed(bytes: &[u8]) -> Option<Vec<u8>> {
    let (_, rest) = bytes.split_at_checked(8)?;
    let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<Value>();
    let header = values.next()?.ok()?;
    let (header_bytes, data) = rest.split_at_checked(values.byte_offset())?;
    let ends = header.as_object()?.values().filter_map(|tensor| tensor["data_offsets"][1].as_u64());
    let claimed = usize::try_from(ends.max().unwrap_or(0)).ok()?;
    let mut data = data.to_vec();
    data.resize(claimed.min(MAX_DATA_BYTES), 0x3e);
    Some([&(header_bytes.len() as u64).to_le_bytes(), header_bytes, &data].concat())
}
