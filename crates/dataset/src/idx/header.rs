//! The header of an IDX file, parsed from bytes without I/O. No field is trusted.

use super::{ElementType, IdxFormatError};

/// The header of an IDX file: the type of the values and the sizes of the axes.
///
/// A `Header` is always valid: its rank fits a byte, each size fits a `u32`, and the length of the values in bytes fits an `isize`,
/// so no arithmetic on it overflows, and an array can have its shape.
///
/// ```
/// use ziffer_dataset::idx::{ElementType, Header};
///
/// // Two images of 3 rows and 5 columns.
/// let bytes = [0, 0, 0x08, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 5];
/// let header = Header::parse(&bytes)?;
/// assert_eq!(header.element_type(), ElementType::U8);
/// assert_eq!(header.shape(), [2, 3, 5]);
/// assert_eq!(header.file_len(), 16 + 2 * 3 * 5);
/// # Ok::<(), ziffer_dataset::idx::IdxFormatError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    element_type: ElementType,
    shape: Vec<usize>,
    payload_len: usize,
}

impl Header {
    /// The longest header: 4 bytes and 255 sizes.
    pub const MAX_LEN: usize = 4 + 4 * u8::MAX as usize;

    /// Parses the header at the start of `bytes`, and ignores what follows.
    ///
    /// # Errors
    /// [`IdxFormatError`] has the wrong field, with found and expected values.
    pub fn parse(bytes: &[u8]) -> Result<Header, IdxFormatError> {
        let [zero, zero_too, type_code, rank, rest @ ..] = bytes else {
            return Err(match bytes {
                [] => IdxFormatError::Empty,
                [a, b, ..] if [*a, *b] != [0, 0] => IdxFormatError::Magic { found: [*a, *b] },
                _ => IdxFormatError::HeaderCut { found: bytes.len(), expected: 4 },
            });
        };
        if [*zero, *zero_too] != [0, 0] {
            return Err(IdxFormatError::Magic { found: [*zero, *zero_too] });
        }
        let element_type =
            ElementType::from_code(*type_code).ok_or(IdxFormatError::UnknownType { found: *type_code })?;
        let rank = usize::from(*rank);
        let (sizes, _) = rest.as_chunks::<4>();
        let sizes = sizes
            .get(..rank)
            .ok_or(IdxFormatError::HeaderCut { found: bytes.len(), expected: 4 + 4 * rank })?;
        let payload_len = payload_len(element_type, sizes.iter().map(|size| u32::from_be_bytes(*size)))
            .ok_or_else(|| IdxFormatError::TooLarge {
                shape: sizes.iter().map(|size| u64::from(u32::from_be_bytes(*size))).collect(),
                element_type,
            })?;
        // Sizes that passed are at most `isize::MAX`, so the conversion is exact on every platform.
        let shape = sizes.iter().map(|size| u32::from_be_bytes(*size) as usize).collect();
        Ok(Header { element_type, shape, payload_len })
    }

    /// A header for values of `element_type` in an array of `shape`.
    ///
    /// # Errors
    /// [`IdxFormatError::RankTooHigh`] and [`IdxFormatError::TooLarge`] for a shape that the format cannot hold.
    pub fn new(element_type: ElementType, shape: &[usize]) -> Result<Header, IdxFormatError> {
        if shape.len() > usize::from(u8::MAX) {
            return Err(IdxFormatError::RankTooHigh { found: shape.len() });
        }
        let too_large = || IdxFormatError::TooLarge {
            shape: shape.iter().map(|size| *size as u64).collect(),
            element_type,
        };
        let sizes: Vec<u32> = shape
            .iter()
            .map(|size| u32::try_from(*size))
            .collect::<Result<_, _>>()
            .map_err(|_| too_large())?;
        let payload_len = payload_len(element_type, sizes.into_iter()).ok_or_else(too_large)?;
        Ok(Header { element_type, shape: shape.to_vec(), payload_len })
    }

    /// The type of the values.
    pub fn element_type(&self) -> ElementType {
        self.element_type
    }

    /// The sizes of the axes, outermost first; empty for a single value.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The length of the header in bytes, which is the offset of the values.
    pub fn header_len(&self) -> usize {
        4 + 4 * self.shape.len()
    }

    /// The length of all values in bytes.
    pub fn payload_len(&self) -> usize {
        self.payload_len
    }

    /// The exact length of a file with this header in bytes.
    pub fn file_len(&self) -> u64 {
        self.header_len() as u64 + self.payload_len as u64
    }

    /// Compares the length of a file with its header.
    ///
    /// # Errors
    /// [`IdxFormatError::Short`] or [`IdxFormatError::Long`].
    pub fn check_file_len(&self, found: u64) -> Result<(), IdxFormatError> {
        let expected = self.file_len();
        match found.cmp(&expected) {
            std::cmp::Ordering::Less => Err(IdxFormatError::Short { found, expected }),
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Greater => Err(IdxFormatError::Long { found, expected }),
        }
    }

    /// The bytes of the header.
    pub fn to_bytes(&self) -> Vec<u8> {
        let rank = self.shape.len() as u8; // at most 255, see `new` and `parse`
        let mut bytes = vec![0, 0, self.element_type.code(), rank];
        for size in &self.shape {
            bytes.extend_from_slice(&(*size as u32).to_be_bytes()); // fits, see `new` and `parse`
        }
        bytes
    }
}

/// The length of all values in bytes; `None` if no array can have the shape. Sizes beside a size of 0 count too, since strides are
/// their products.
fn payload_len(element_type: ElementType, sizes: impl Iterator<Item = u32>) -> Option<usize> {
    let mut any_zero = false;
    let mut product = element_type.size();
    for size in sizes {
        any_zero |= size == 0;
        product = product
            .checked_mul(usize::try_from(size.max(1)).ok()?)
            .filter(|product| *product <= isize::MAX as usize - Header::MAX_LEN)?;
    }
    Some(if any_zero { 0 } else { product })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;

    /// The header of MNIST's training images, byte for byte.
    const TRAIN_IMAGES: [u8; 16] = [
        0, 0,    // magic
        0x08, // u8
        3,    // rank
        0x00, 0x00, 0xEA, 0x60, // 60,000 images
        0x00, 0x00, 0x00, 0x1C, // 28 rows
        0x00, 0x00, 0x00, 0x1C, // 28 columns
    ];

    #[test]
    fn mnist_training_images() {
        let header = Header::parse(&TRAIN_IMAGES).unwrap();
        assert_eq!(header.element_type(), ElementType::U8);
        assert_eq!(header.shape(), [60_000, 28, 28]);
        assert_eq!(header.header_len(), 16);
        assert_eq!(header.file_len(), 47_040_016);
        assert_eq!(header.to_bytes(), TRAIN_IMAGES);
    }

    #[test]
    fn rank_zero_is_one_value() {
        let header = Header::parse(&[0, 0, 0x0E, 0]).unwrap();
        assert_eq!(header.shape(), [0usize; 0]);
        assert_eq!(header.file_len(), 4 + 8);
    }

    #[test]
    fn size_zero_is_no_value() {
        let header = Header::parse(&[0, 0, 0x0C, 2, 0, 0, 0, 0, 0, 0, 0, 7]).unwrap();
        assert_eq!(header.shape(), [0, 7]);
        assert_eq!(header.file_len(), 12);
    }

    #[test]
    fn each_field_has_its_error() {
        let parse = |bytes: &[u8]| Header::parse(bytes).unwrap_err();
        assert_eq!(parse(&[]), IdxFormatError::Empty);
        assert_eq!(parse(b"<!DOCTYPE html>"), IdxFormatError::Magic { found: *b"<!" });
        assert_eq!(parse(b"<!"), IdxFormatError::Magic { found: *b"<!" });
        assert_eq!(parse(&[0, 0, 0x08]), IdxFormatError::HeaderCut { found: 3, expected: 4 });
        assert_eq!(parse(&[0, 0, 0x0A, 1, 0, 0, 0, 0]), IdxFormatError::UnknownType { found: 0x0A });
        assert_eq!(parse(&TRAIN_IMAGES[..15]), IdxFormatError::HeaderCut { found: 15, expected: 16 });
        assert_eq!(
            parse(&[0, 0, 0x08, 3, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0]),
            IdxFormatError::TooLarge {
                shape: vec![u64::from(u32::MAX), u64::from(u32::MAX), 0],
                element_type: ElementType::U8
            },
            "a size of 0 does not excuse the overflow of the others"
        );
    }

    #[test]
    fn the_largest_shape_is_refused_before_any_allocation() {
        // Rank 255 with every size at its maximum.
        let mut bytes = vec![0, 0, 0x0E, 255];
        bytes.resize(Header::MAX_LEN, 0xFF);
        assert!(matches!(Header::parse(&bytes), Err(IdxFormatError::TooLarge { .. })));
    }

    #[test]
    fn shapes_that_the_format_cannot_hold() {
        assert_eq!(Header::new(ElementType::U8, &[1; 256]), Err(IdxFormatError::RankTooHigh { found: 256 }));
        assert!(Header::new(ElementType::U8, &[1; 255]).is_ok());
        #[cfg(target_pointer_width = "64")]
        assert!(matches!(Header::new(ElementType::U8, &[1 << 32]), Err(IdxFormatError::TooLarge { .. })));
    }

    proptest! {
    #![proptest_config(ProptestConfig { cases: 256, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..1100)) {
            let _ = Header::parse(&bytes);
        }

        /// Random bytes rarely get past the magic, so here the first fields are right.
        #[test]
        fn plausible_bytes_parse_to_themselves(
            code in prop::sample::select(vec![0x08u8, 0x09, 0x0B, 0x0C, 0x0D, 0x0E]),
            rank in 0u8..8,
            tail in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut bytes = vec![0, 0, code, rank];
            bytes.extend_from_slice(&tail);
            match Header::parse(&bytes) {
                Ok(header) => {
                    prop_assert_eq!(header.to_bytes(), &bytes[..header.header_len()]);
                    prop_assert_eq!(Header::new(header.element_type(), header.shape()), Ok(header));
                }
                Err(IdxFormatError::HeaderCut { found, expected }) => {
                    prop_assert!(found < expected);
                    prop_assert_eq!(expected, 4 + 4 * usize::from(rank));
                }
                Err(IdxFormatError::TooLarge { shape, .. }) => {
                    // The same product in arithmetic that cannot overflow at this rank.
                    let product: f64 = shape.iter().map(|size| (*size).max(1) as f64).product();
                    prop_assert!(product >= (isize::MAX / 16) as f64);
                }
                Err(other) => prop_assert!(false, "unexpected {other:?}"),
            }
        }
    }
}
