//! Writing TOML line by line.

use std::fmt::Write;

/// A TOML document that is being written.
#[derive(Debug, Default)]
pub(super) struct TomlWriter(String);

impl TomlWriter {
    /// Writes a key and its value.
    pub(super) fn key(&mut self, key: &str, value: impl Into<toml::Value>) {
        writeln!(self.0, "{key} = {}", value.into()).expect("writing to a string succeeds");
    }

    /// Begins a table `[name]`.
    pub(super) fn table(&mut self, name: &str) {
        writeln!(self.0, "\n[{name}]").expect("writing to a string succeeds");
    }

    /// Begins an item of an array of tables, `[[name]]`.
    pub(super) fn item(&mut self, name: &str) {
        writeln!(self.0, "\n[[{name}]]").expect("writing to a string succeeds");
    }

    /// Writes a key and its value from JSON. Writes nothing for null.
    pub(super) fn json(&mut self, key: &str, value: &serde_json::Value) {
        if let Some(value) = from_json(value) {
            self.key(key, value);
        }
    }

    /// The document.
    pub(super) fn finish(self) -> String {
        self.0
    }
}

fn from_json(value: &serde_json::Value) -> Option<toml::Value> {
    use serde_json::Value;
    Some(match value {
        Value::Null => return None,
        Value::Bool(flag) => (*flag).into(),
        Value::String(text) => text.as_str().into(),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => number.as_f64()?.into(),
        },
        Value::Array(items) => toml::Value::Array(items.iter().filter_map(from_json).collect()),
        Value::Object(members) => {
            let members = members.iter().filter_map(|(key, value)| Some((key.clone(), from_json(value)?)));
            toml::Value::Table(members.collect())
        }
    })
}
