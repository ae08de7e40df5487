//! The key `shuffle` of a recipe and of a run summary: `true`, `false`, `"full"` or `"blocks"`.

use std::fmt;

use serde::de::{Deserializer, Error, Unexpected, Visitor};
use serde::ser::Serializer;
use ziffer_trainer::Shuffle;

use super::toml_reader::TomlTable;
use super::toml_writer::TomlWriter;

const EXPECTED: &str = "true, false, \"full\" or \"blocks\"";

/// Serializes the value of the key.
pub(crate) fn serialize<S: Serializer>(shuffle: &Shuffle, to: S) -> Result<S::Ok, S::Error> {
    match shuffle {
        Shuffle::None => to.serialize_bool(false),
        Shuffle::Auto => to.serialize_bool(true),
        Shuffle::Full => to.serialize_str("full"),
        Shuffle::Blocks => to.serialize_str("blocks"),
    }
}

/// Deserializes the value of the key.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Shuffle, D::Error> {
    struct ShuffleVisitor;
    impl Visitor<'_> for ShuffleVisitor {
        type Value = Shuffle;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(EXPECTED)
        }
        fn visit_bool<E: Error>(self, value: bool) -> Result<Shuffle, E> {
            Ok(value.into())
        }
        fn visit_str<E: Error>(self, value: &str) -> Result<Shuffle, E> {
            match value {
                "full" => Ok(Shuffle::Full),
                "blocks" => Ok(Shuffle::Blocks),
                _ => Err(E::invalid_value(Unexpected::Str(value), &self)),
            }
        }
    }
    from.deserialize_any(ShuffleVisitor)
}

/// Reads the key of a recipe.
pub(super) fn read(root: &TomlTable<'_>) -> Result<Option<Shuffle>, String> {
    Ok(Some(match root.any("shuffle") {
        None => return Ok(None),
        Some(toml::Value::Boolean(shuffle)) => (*shuffle).into(),
        Some(toml::Value::String(how)) if how == "full" => Shuffle::Full,
        Some(toml::Value::String(how)) if how == "blocks" => Shuffle::Blocks,
        Some(_) => return root.refuse("shuffle", EXPECTED),
    }))
}

/// Writes the key of a recipe.
pub(super) fn write(shuffle: Shuffle, writer: &mut TomlWriter) {
    match shuffle {
        Shuffle::None => writer.key("shuffle", false),
        Shuffle::Auto => writer.key("shuffle", true),
        Shuffle::Full => writer.key("shuffle", "full"),
        Shuffle::Blocks => writer.key("shuffle", "blocks"),
    }
}
