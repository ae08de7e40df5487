//! safetensors files, read and written by hand: the header's length in eight bytes, a JSON header, the values.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};
use ziffer_base::digest::Sha256;

/// One tensor: its name, type, shape and bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) dtype: &'static str,
    pub(crate) shape: Vec<usize>,
    pub(crate) bytes: Vec<u8>,
}

impl Tensor {
    /// An f32 tensor of small values that depend on `seed`.
    pub(crate) fn f32(name: &str, shape: &[usize], seed: u32) -> Self {
        let mut state = seed;
        let bytes = (0..shape.iter().product())
            .flat_map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (((state >> 16) as f32 / 65_536.0 - 0.5) * 0.5).to_le_bytes()
            })
            .collect();
        Self { name: name.to_owned(), dtype: "F32", shape: shape.to_vec(), bytes }
    }
}

/// The weights of a stack of dense layers by Keras's names; `sizes` are the inputs, then every layer's units.
pub(crate) fn dense_stack(sizes: &[usize], seed: u32) -> Vec<Tensor> {
    layer_names()
        .zip(sizes.windows(2))
        .flat_map(|(layer, size)| {
            [
                Tensor::f32(&format!("{layer}.kernel"), size, seed),
                Tensor::f32(&format!("{layer}.bias"), &size[1..], seed + 1),
            ]
        })
        .collect()
}

/// dense, `dense_1`, `dense_2`, ...
fn layer_names() -> impl Iterator<Item = String> {
    (0..).map(|index| if index == 0 { "dense".to_owned() } else { format!("dense_{index}") })
}

/// A file of these tensors, without metadata.
pub(crate) fn to_bytes(tensors: &[Tensor]) -> Vec<u8> {
    let mut header = Map::new();
    let mut values = Vec::new();
    for tensor in tensors {
        let start = values.len();
        values.extend_from_slice(&tensor.bytes);
        let entry =
            json!({"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [start, values.len()]});
        header.insert(tensor.name.clone(), entry);
    }
    with_header(&Value::Object(header), &values)
}

/// A file of this header and these values.
pub(crate) fn with_header(header: &Value, values: &[u8]) -> Vec<u8> {
    let mut header = header.to_string();
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(values);
    bytes
}

/// The header and the values of a file.
pub(crate) fn split(bytes: &[u8]) -> (Value, Vec<u8>) {
    let length = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"));
    let end = 8 + usize::try_from(length).expect("a small header");
    (serde_json::from_slice(&bytes[8..end]).expect("a header of JSON"), bytes[end..].to_vec())
}

/// The tensors of all layers in order, kernel before bias. Fails if the file has others.
pub(crate) fn layers(file: &Path) -> Vec<Tensor> {
    let (header, values) = split(&fs::read(file).expect("a model's file"));
    let header = header.as_object().expect("an object as header");
    assert!(header["__metadata__"].is_object(), "the architecture is in the metadata");
    let mut tensors = Vec::new();
    for layer in layer_names() {
        if !header.contains_key(&format!("{layer}.kernel")) {
            break;
        }
        for name in [format!("{layer}.kernel"), format!("{layer}.bias")] {
            let entry = &header[&name];
            assert_eq!(entry["dtype"], "F32", "{name}");
            let number = |value: &Value| usize::try_from(value.as_u64().expect("a size")).expect("a size");
            let shape: Vec<usize> = entry["shape"].as_array().expect("a shape").iter().map(number).collect();
            let (start, end) = (number(&entry["data_offsets"][0]), number(&entry["data_offsets"][1]));
            let bytes = values[start..end].to_vec();
            assert_eq!(bytes.len(), 4 * shape.iter().product::<usize>(), "{name}");
            tensors.push(Tensor { name, dtype: "F32", shape, bytes });
        }
    }
    assert_eq!(tensors.len(), header.len() - 1, "nothing but layers and metadata in {header:?}");
    tensors
}

/// The digest of every parameter's bytes, one after the other.
pub(crate) fn sha256(tensors: &[Tensor]) -> String {
    let mut sha256 = Sha256::default();
    for tensor in tensors {
        sha256.update(&tensor.bytes);
    }
    sha256.finish().to_string()
}
