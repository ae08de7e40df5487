//! What must be the same when a training goes on.

use std::collections::BTreeMap;

use ziffer_nn::OneLine;

/// Everything that must be the same when a training goes on, as `name: value`.
pub(crate) type Settings = BTreeMap<String, String>;

/// More than a recipe has settings; a file that was not written by ziffer may say more.
const MOST_DIFFERENCES: usize = 20;

/// What differs, in words; `None` if nothing does.
pub(super) fn differences(was: &Settings, is: &Settings) -> Option<String> {
    let mut names: Vec<&String> = was.keys().chain(is.keys()).collect();
    names.sort();
    names.dedup();
    let value = |settings: &Settings, name| settings.get(name).map_or("not set", String::as_str).to_owned();
    let mut different: Vec<_> = names
        .into_iter()
        .map(|name| (name, value(was, name), value(is, name)))
        .filter(|(_, was, is)| was != is)
        .collect();
    // They follow from the seed or the layers, which then say more.
    if different.len() > 1 {
        different.retain(|(name, ..)| *name != INITIAL_WEIGHTS);
    }
    // A setting's own parts are not parts of the message.
    let shown = |value: &str| OneLine(value.replace(": ", " ")).to_string();
    let mut texts: Vec<_> = (different.iter().take(MOST_DIFFERENCES))
        .map(|(name, was, is)| format!("{} was {}, is {}", OneLine(name), shown(was), shown(is)))
        .collect();
    if different.len() > MOST_DIFFERENCES {
        texts.push(format!("and {} more", different.len() - MOST_DIFFERENCES));
    }
    (!texts.is_empty()).then(|| texts.join("; "))
}

/// The setting that has the digest of the weights that training started from.
pub(crate) const INITIAL_WEIGHTS: &str = "initial weights";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_shown() {
        let settings = |entries: &[(&str, &str)]| -> Settings {
            entries.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
        };
        let was = settings(&[("batch_size", "32"), ("seed", "0"), (INITIAL_WEIGHTS, "ab")]);
        assert_eq!(differences(&was, &was), None);
        let is = settings(&[("batch_size", "64"), ("hidden", "[3]"), ("seed", "0"), (INITIAL_WEIGHTS, "cd")]);
        assert_eq!(differences(&was, &is).unwrap(), "batch_size was 32, is 64; hidden was not set, is [3]");
        let is = settings(&[("batch_size", "32"), ("seed", "0"), (INITIAL_WEIGHTS, "cd")]);
        assert_eq!(differences(&was, &is).unwrap(), "initial weights was ab, is cd");
        let is = (0..MOST_DIFFERENCES + 1).map(|i| (format!("{i:02}\n"), "9".repeat(1000))).collect();
        let shown = differences(&Settings::new(), &is).unwrap();
        assert!(shown.ends_with("9...; and 1 more") && !shown.contains('\n'), "{shown}");
    }
}
