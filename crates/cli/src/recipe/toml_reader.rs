//! Reading TOML key by key, so that each error names its line.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::Range;

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Value};
use ziffer_base::OneLine;

/// A TOML document: its text and its values.
pub(super) struct TomlDocument<'a> {
    text: &'a str,
    values: toml::Table,
    spans: Spanned<DeTable<'a>>,
}

/// A step of the path to a value.
#[derive(Clone, Debug)]
enum Step {
    Key(String),
    Index(usize),
}

/// A table of a document. [`finish`](Self::finish) rejects keys that were not read.
pub(super) struct TomlTable<'a> {
    document: &'a TomlDocument<'a>,
    values: &'a toml::Table,
    path: Vec<Step>,
    known: RefCell<Vec<&'static str>>,
}

impl<'a> TomlDocument<'a> {
    /// Parses TOML.
    ///
    /// # Errors
    /// The problem and its line.
    pub(super) fn parse(text: &'a str) -> Result<Self, String> {
        let to_message = |error: toml::de::Error| {
            let start = error.span().map_or(0, |span| span.start);
            at(text, start, &error.message().lines().collect::<Vec<_>>().join(" "))
        };
        let spans = DeTable::parse(text).map_err(to_message)?;
        let values = toml::from_str(text).map_err(to_message)?;
        Ok(Self { text, values, spans })
    }

    /// The root table.
    pub(super) fn root(&'a self) -> TomlTable<'a> {
        TomlTable { document: self, values: &self.values, path: Vec::new(), known: RefCell::default() }
    }

    /// The position of a value in the text.
    fn span(&self, path: &[Step]) -> Range<usize> {
        let (mut table, mut span) = (Some(self.spans.get_ref()), self.spans.span());
        let mut value: Option<&Spanned<DeValue<'_>>> = None;
        for step in path {
            match step {
                Step::Key(key) => {
                    let entry = table.and_then(|table| table.iter().find(|(name, _)| name.get_ref() == key));
                    let Some((name, found)) = entry else { return span };
                    span = name.span();
                    value = Some(found);
                }
                Step::Index(index) => {
                    let item = value.and_then(|value| value.get_ref().as_array()?.get(*index));
                    let Some(found) = item else { return span };
                    span = found.span();
                    value = Some(found);
                }
            }
            table = value.and_then(|value| value.get_ref().as_table());
        }
        span
    }

    fn error(&self, path: &[Step], problem: impl Display) -> String {
        at(self.text, self.span(path).start, &problem.to_string())
    }
}

/// A problem with its line.
fn at(text: &str, start: usize, problem: &str) -> String {
    let line = text[..start.min(text.len())].matches('\n').count();
    let content = text.lines().nth(line).unwrap_or_default().trim();
    format!("line {}: {}, in `{}`", line + 1, OneLine(problem), OneLine(content))
}

impl<'a> TomlTable<'a> {
    fn value(&self, key: &'static str) -> Option<&'a Value> {
        self.known.borrow_mut().push(key);
        self.values.get(key)
    }

    fn path_of(&self, key: &str) -> Vec<Step> {
        self.path.iter().cloned().chain([Step::Key(key.to_owned())]).collect()
    }

    /// The error for a problem with a key.
    pub(super) fn error(&self, key: &str, problem: impl Display) -> String {
        let path = if self.values.contains_key(key) { self.path_of(key) } else { self.path.clone() };
        self.document.error(&path, problem)
    }

    /// The error for an invalid value.
    pub(super) fn refuse<T>(&self, key: &str, expected: impl Display) -> Result<T, String> {
        let value = self.values.get(key).map_or_else(|| "missing".to_owned(), ToString::to_string);
        Err(self.error(key, format!("{key} is {}, expected {expected}", OneLine(value))))
    }

    /// Whether the key exists.
    pub(super) fn has(&self, key: &'static str) -> bool {
        self.value(key).is_some()
    }

    fn get<T>(
        &self,
        key: &'static str,
        expected: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, String> {
        match self.value(key) {
            None => Ok(None),
            Some(value) => read(value).map_or_else(|| self.refuse(key, expected), |value| Ok(Some(value))),
        }
    }

    /// A number. Errors describe its range by `expected`.
    pub(super) fn number(
        &self,
        key: &'static str,
        expected: &str,
        is_right: impl Fn(f64) -> bool,
    ) -> Result<Option<f64>, String> {
        self.get(key, expected, |value| number(value).filter(|&value| is_right(value)))
    }

    /// A whole number of at least `least`.
    pub(super) fn size(&self, key: &'static str, least: u64) -> Result<Option<u64>, String> {
        let whole = |value: &Value| u64::try_from(value.as_integer()?).ok().filter(|&value| value >= least);
        self.get(key, &format!("a whole number of at least {least}"), whole)
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, key: &'static str) -> Result<Option<bool>, String> {
        self.get(key, "true or false", Value::as_bool)
    }

    /// A string.
    pub(super) fn text(&self, key: &'static str, expected: &str) -> Result<Option<&'a str>, String> {
        self.get(key, expected, Value::as_str)
    }

    /// A list of whole numbers of at least `least`.
    pub(super) fn sizes(&self, key: &'static str, least: u64) -> Result<Option<Vec<usize>>, String> {
        let whole = |value: &Value| {
            u64::try_from(value.as_integer()?).ok().filter(|&value| value >= least)?.try_into().ok()
        };
        let expected = format!("a list of whole numbers of at least {least}, such as [128, 64]");
        self.get(key, &expected, |value| value.as_array()?.iter().map(whole).collect())
    }

    /// A list of numbers. Errors describe their range by `expected`.
    pub(super) fn numbers(
        &self,
        key: &'static str,
        is_right: impl Fn(f64) -> bool,
        expected: &str,
    ) -> Result<Option<Vec<f64>>, String> {
        let right = |value: &Value| number(value).filter(|&value| is_right(value));
        self.get(key, expected, |value| value.as_array()?.iter().map(right).collect())
    }

    /// A value of any type.
    pub(super) fn any(&self, key: &'static str) -> Option<&'a Value> {
        self.value(key)
    }

    /// A table, if the value is one.
    pub(super) fn table(&self, key: &'static str) -> Option<TomlTable<'a>> {
        let values = self.value(key)?.as_table()?;
        Some(TomlTable {
            document: self.document,
            values,
            path: self.path_of(key),
            known: RefCell::default(),
        })
    }

    /// A list of tables.
    pub(super) fn tables(&self, key: &'static str) -> Result<Vec<TomlTable<'a>>, String> {
        let expected = format!("tables, each under a line [[{key}]]");
        let values = self.get(key, &expected, |value| {
            value.as_array()?.iter().map(Value::as_table).collect::<Option<Vec<_>>>()
        })?;
        let table = |(index, values)| {
            let path = self.path_of(key).into_iter().chain([Step::Index(index)]).collect();
            TomlTable { document: self.document, values, path, known: RefCell::default() }
        };
        Ok(values.unwrap_or_default().into_iter().enumerate().map(table).collect())
    }

    /// All keys but these, as JSON, for layers that check their own settings.
    pub(super) fn except(&self, keys: &[&str]) -> serde_json::Map<String, serde_json::Value> {
        let rest = self.values.iter().filter(|(key, _)| !keys.contains(&key.as_str()));
        rest.map(|(key, value)| (key.clone(), json(value))).collect()
    }

    /// Rejects keys that were not read.
    pub(super) fn finish(&self) -> Result<(), String> {
        let known = self.known.borrow();
        match self.values.keys().find(|key| !known.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => Err(self.unknown(key, &known)),
        }
    }

    /// The error for an unknown key.
    pub(super) fn unknown(&self, key: &str, known: &[impl AsRef<str>]) -> String {
        let mut known: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
        known.sort_unstable();
        known.dedup();
        self.error(key, format!("unknown key {key}, expected one of {}", known.join(", ")))
    }
}

fn number(value: &Value) -> Option<f64> {
    value.as_float().or(value.as_integer().map(|value| value as f64))
}

/// Converts TOML to JSON, dates and times to strings.
fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::String(text) => text.as_str().into(),
        Value::Integer(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Boolean(flag) => (*flag).into(),
        Value::Datetime(time) => time.to_string().into(),
        Value::Array(items) => items.iter().map(json).collect(),
        Value::Table(table) => table
            .iter()
            .map(|(key, value)| (key.clone(), json(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}
