//! Parsers for the values of flags. Errors say what is expected; clap adds the flag and the value.

use std::num::IntErrorKind;

use ziffer_dataset::catalog::Name;

/// A whole number of at least 1.
pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Err(error) if *error.kind() == IntErrorKind::PosOverflow => Err("too large".to_owned()),
        Ok(0) | Err(_) => Err("expected a whole number of at least 1".to_owned()),
        Ok(number) => Ok(number),
    }
}

/// A random seed.
pub(super) fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("expected a whole number from 0 to {}", u64::MAX))
}

/// A share of the training set.
pub(super) fn validation_split(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|share| (0.0..1.0).contains(share))
        .ok_or("expected a number from 0 to below 1".to_owned())
}

/// A positive number.
pub(super) fn positive(text: &str) -> Result<f64, String> {
    let is_right = |rate: &f64| *rate > 0.0 && rate.is_finite();
    text.parse().ok().filter(is_right).ok_or("expected a positive number".to_owned())
}

/// A finite number.
pub(super) fn finite(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|number: &f64| number.is_finite()).ok_or("expected a finite number".to_owned())
}

/// A list of whole numbers of at least 1, separated by commas. Errors call one `what` and show an `example`.
pub(super) fn whole_numbers(text: &str, what: &str, example: &str) -> Result<Vec<usize>, String> {
    let number = |item: &str| match item.trim().parse() {
        Ok(0) | Err(_) => Err(format!(
            "{item:?} is not a {what}: expected whole numbers of at least 1, separated by commas, e.g. {example}"
        )),
        Ok(number) => Ok(number),
    };
    text.split(',').map(number).collect()
}

/// The name of a data set.
pub(super) fn dataset_name(text: &str) -> Result<Name, String> {
    let known = || Name::ALL.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    text.parse().map_err(|_| format!("unknown data set, expected one of {}", known()))
}
