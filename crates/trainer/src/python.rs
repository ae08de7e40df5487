//! Numbers in Python's notation.

/// The shortest text that parses to the same number, as Python's `repr`: `0.25`, `1.0`, `1e-05`.
pub(crate) fn repr(value: f64) -> String {
    if value.is_nan() { "nan".to_owned() } else { python_exponent(format!("{value:?}")) }
}

/// Scientific notation with this many decimals: `1.2346e-04`.
pub(crate) fn exponent(value: f64, decimals: usize) -> String {
    python_exponent(format!("{value:.decimals$e}"))
}

/// Gives an exponent its sign and at least two digits.
fn python_exponent(text: String) -> String {
    let Some((mantissa, exponent)) = text.split_once('e') else { return text };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_formatted_as_in_python() {
        for (value, text) in [
            (0.0, "0.0"),
            (1.0, "1.0"),
            (0.1, "0.1"),
            (1.0 / 3.0, "0.3333333333333333"),
            (0.0001, "0.0001"),
            (0.000_099, "9.9e-05"),
            (1e-5, "1e-05"),
            (1.5e-123, "1.5e-123"),
            (9_999_999_999_999_998.0, "9999999999999998.0"),
            (1e16, "1e+16"),
            (-2.5, "-2.5"),
            (f64::INFINITY, "inf"),
            (f64::NAN, "nan"),
        ] {
            assert_eq!(repr(value), text);
        }
        assert_eq!(exponent(0.000_123_456, 4), "1.2346e-04");
        assert_eq!(exponent(0.0, 4), "0.0000e+00");
    }
}
