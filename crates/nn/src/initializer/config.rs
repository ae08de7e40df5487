//! Initializers in the settings of layers.

use serde_json::{Map, Value, json};

use super::{Distribution, FanMode, Initializer, known_names};
use crate::OneLine;
use crate::layer::LayerError;

/// The libraries that contain Keras's initializers.
const LIBRARIES: [&str; 3] = ["keras", "tensorflow", "tf_keras"];

impl Initializer {
    /// The initializer as a layer's setting, in Keras's form: the name if all arguments are the defaults, else the class and the
    /// arguments.
    ///
    /// ```
    /// use serde_json::json;
    /// use ziffer_nn::Initializer;
    /// assert_eq!(Initializer::HeNormal.config(), "he_normal");
    /// assert_eq!(
    ///     Initializer::RandomNormal { mean: 0.0, stddev: 0.02 }.config(),
    ///     json!({ "class_name": "RandomNormal", "config": { "mean": 0.0, "stddev": 0.02 } })
    /// );
    /// ```
    pub fn config(self) -> Value {
        if Self::ALL.contains(&self) {
            return self.name().into();
        }
        let arguments = match self {
            Self::Constant { value } => json!({ "value": value }),
            Self::RandomNormal { mean, stddev } | Self::TruncatedNormal { mean, stddev } => {
                json!({ "mean": mean, "stddev": stddev })
            }
            Self::RandomUniform { minval, maxval } => json!({ "minval": minval, "maxval": maxval }),
            Self::VarianceScaling { scale, mode, distribution } => {
                json!({ "scale": scale, "mode": mode.name(), "distribution": distribution.name() })
            }
            Self::Orthogonal { gain } | Self::Identity { gain } => json!({ "gain": gain }),
            _ => json!({}),
        };
        json!({ "class_name": self.class_name(), "config": arguments })
    }

    /// The initializer of the setting `key`.
    pub(crate) fn from_config(key: &str, value: &Value) -> Result<Self, LayerError> {
        let expected = "the name of an initializer, or its class_name and config";
        let unknown = |key: &str, name: &Value| -> LayerError {
            format!("{key} is {}, expected one of {}", OneLine(name), known_names()).into()
        };
        let object = match value {
            Value::String(name) => return Self::by_class_or_name(name).ok_or_else(|| unknown(key, value)),
            Value::Object(object) => object,
            other => return Err(format!("{key} is {}, expected {expected}", OneLine(other)).into()),
        };
        let class = &object.get("class_name").unwrap_or(&Value::Null);
        let Some(name) = class.as_str() else {
            return Err(
                format!("{key}.class_name is {}, expected that of an initializer", OneLine(class)).into()
            );
        };
        let default =
            Self::by_class_or_name(name).ok_or_else(|| unknown(&format!("{key}.class_name"), class))?;
        for (name, value) in object.iter().filter(|(_, value)| !value.is_null()) {
            let library = || value.as_str().and_then(|module| module.split('.').next());
            match name.as_str() {
                "class_name" | "config" | "registered_name" => {}
                // A custom class may have the name of one of Keras's.
                "module" if library().is_some_and(|library| LIBRARIES.contains(&library)) => {}
                "module" => {
                    return Err(
                        format!("{key}.module is {}, expected keras.initializers", OneLine(value)).into()
                    );
                }
                _ => {
                    let name = OneLine(name);
                    return Err(format!("{key}.{name} is unknown, expected class_name and config").into());
                }
            }
        }
        let nothing = Map::new();
        let given = match object.get("config") {
            None | Some(Value::Null) => &nothing,
            Some(Value::Object(given)) => given,
            Some(other) => {
                return Err(
                    format!("{key}.config is {}, expected a table of arguments", OneLine(other)).into()
                );
            }
        };
        default.with(given).map_err(|problem| format!("{key}.config.{problem}").into())
    }

    /// The initializer with other arguments.
    fn with(self, given: &Map<String, Value>) -> Result<Self, LayerError> {
        let mut initializer = self;
        // In Keras's form, null stands for the default.
        for (name, value) in given.iter().filter(|(_, value)| !value.is_null()) {
            initializer.set(name, value)?;
        }
        initializer.check_arguments()?;
        Ok(initializer)
    }

    /// Sets an argument.
    fn set(&mut self, name: &str, value: &Value) -> Result<(), LayerError> {
        match (name, self) {
            ("value", Self::Constant { value: number })
            | (
                "mean",
                Self::RandomNormal { mean: number, .. } | Self::TruncatedNormal { mean: number, .. },
            )
            | (
                "stddev",
                Self::RandomNormal { stddev: number, .. } | Self::TruncatedNormal { stddev: number, .. },
            )
            | ("minval", Self::RandomUniform { minval: number, .. })
            | ("maxval", Self::RandomUniform { maxval: number, .. })
            | ("scale", Self::VarianceScaling { scale: number, .. })
            | ("gain", Self::Orthogonal { gain: number } | Self::Identity { gain: number }) => {
                let wrong = || format!("{name} is {}, expected a number", OneLine(value));
                *number = value.as_f64().ok_or_else(wrong)?;
            }
            ("mode", Self::VarianceScaling { mode, .. }) => {
                *mode = one_of(name, value, FanMode::ALL, FanMode::name)?;
            }
            ("distribution", Self::VarianceScaling { distribution, .. }) => {
                // The name in Keras 2, which Keras 3 still reads.
                let is_normal = value.as_str().is_some_and(|text| text.eq_ignore_ascii_case("normal"));
                *distribution = if is_normal {
                    Distribution::TruncatedNormal
                } else {
                    one_of(name, value, Distribution::ALL, Distribution::name)?
                };
            }
            ("seed", _) => {
                let value = OneLine(value);
                return Err(format!(
                    "seed is {value}, expected none: the model's seed is that of all weights"
                )
                .into());
            }
            (_, initializer) => {
                let known = initializer.arguments();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(format!("{} is unknown, expected {known}", OneLine(name)).into());
            }
        }
        Ok(())
    }

    /// The names of the arguments.
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Constant { .. } => &["value"],
            Self::RandomNormal { .. } | Self::TruncatedNormal { .. } => &["mean", "stddev"],
            Self::RandomUniform { .. } => &["minval", "maxval"],
            Self::VarianceScaling { .. } => &["scale", "mode", "distribution"],
            Self::Orthogonal { .. } | Self::Identity { .. } => &["gain"],
            _ => &[],
        }
    }

    /// Checks that each argument is in range.
    pub(super) fn check_arguments(self) -> Result<(), LayerError> {
        let is_finite = |number: f64| (number as f32).is_finite();
        let check = |name: &str, number: f64, is_right: bool, expected: &str| {
            if is_right && is_finite(number) {
                Ok(())
            } else {
                Err(format!("{name} is {number}, expected {expected}, finite as f32").into())
            }
        };
        let any = |name: &str, number: f64| check(name, number, true, "a number");
        match self {
            Self::Constant { value } => any("value", value),
            Self::RandomNormal { mean, stddev } | Self::TruncatedNormal { mean, stddev } => {
                any("mean", mean)?;
                check("stddev", stddev, stddev >= 0.0, "a number of at least 0")
            }
            Self::RandomUniform { minval, maxval } => {
                any("minval", minval)?;
                check("maxval", maxval, maxval >= minval, &format!("a number of at least minval, {minval}"))
            }
            Self::VarianceScaling { scale, .. } => check("scale", scale, scale > 0.0, "a number above 0"),
            Self::Orthogonal { gain } | Self::Identity { gain } => any("gain", gain),
            _ => Ok(()),
        }
    }
}

/// The value of this name. As in Keras, the case does not matter.
fn one_of<T: Copy, const N: usize>(
    key: &str,
    value: &Value,
    all: [T; N],
    name: impl Fn(T) -> &'static str,
) -> Result<T, LayerError> {
    let is_it = |one: &T| value.as_str().is_some_and(|text| text.eq_ignore_ascii_case(name(*one)));
    all.into_iter()
        .find(is_it)
        .ok_or_else(|| format!("{key} is {}, expected {}", OneLine(value), all.map(&name).join(", ")).into())
}
