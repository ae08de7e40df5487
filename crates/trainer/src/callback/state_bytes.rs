//! The states of callbacks as bytes. Bytes from a checkpoint may be wrong.

use super::CallbackError;

/// Checks the length of a state.
pub(super) fn check_len(state: &[u8], expected: usize) -> Result<(), CallbackError> {
    let found = state.len();
    if found == expected {
        return Ok(());
    }
    Err(format!("its state in the checkpoint has {found} bytes, expected {expected}").into())
}

/// Numbers as bytes, one after the other.
pub(super) fn to_bytes(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// N numbers from bytes.
pub(super) fn from_bytes<const N: usize>(state: &[u8]) -> Result<[u64; N], CallbackError> {
    check_len(state, 8 * N)?;
    let mut numbers = [0; N];
    for (number, bytes) in numbers.iter_mut().zip(state.as_chunks().0) {
        *number = u64::from_le_bytes(*bytes);
    }
    Ok(numbers)
}

/// Checks a count from a checkpoint against its largest value.
pub(super) fn count(name: &str, count: u64, max: usize) -> Result<usize, CallbackError> {
    let within = usize::try_from(count).ok().filter(|&count| count <= max);
    within.ok_or_else(|| {
        format!("its state in the checkpoint has a {name} of {count}, expected at most {max}").into()
    })
}

/// An optional number as two numbers.
pub(super) fn optional_to_numbers(value: Option<f64>) -> [u64; 2] {
    value.map_or([0, 0], |value| [1, value.to_bits()])
}

/// An optional number from two numbers.
pub(super) fn optional_from_numbers([is_some, bits]: [u64; 2]) -> Option<f64> {
    (is_some != 0).then(|| f64::from_bits(bits))
}
