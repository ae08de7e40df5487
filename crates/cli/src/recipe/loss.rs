//! The loss of a recipe.

use ziffer_nn::{
    Activation, AnyLoss, BinaryCrossentropy, CategoricalCrossentropy, Loss, MeanAbsoluteError,
    MeanSquaredError, SparseCategoricalCrossentropy,
};

use super::toml_reader::TomlTable;
use super::toml_writer::TomlWriter;

const EXPECTED: &str = "sparse_categorical_crossentropy, categorical_crossentropy, binary_crossentropy, \
                        mean_squared_error or mean_absolute_error";

/// Reads `loss = "NAME"` or `loss = { name = "NAME", label_smoothing = 0.1 }`.
pub(super) fn read(root: &TomlTable<'_>) -> Result<Option<AnyLoss>, String> {
    let table = match root.any("loss") {
        None => return Ok(None),
        Some(toml::Value::String(name)) => {
            return find(name, 0.0).map_or_else(|| root.refuse("loss", EXPECTED), |loss| Ok(Some(loss)));
        }
        Some(_) => root.table("loss"),
    };
    let Some(table) = table else {
        return root.refuse("loss", format!("{EXPECTED}, or a table with that name"));
    };
    let name = table.text("name", EXPECTED)?.unwrap_or("sparse_categorical_crossentropy");
    let Some(plain) = find(name, 0.0) else { return table.refuse("name", EXPECTED) };
    let mut smoothing = 0.0;
    if label_smoothing(&plain).is_some() {
        let is_share = |value: f64| (0.0..=1.0).contains(&value);
        smoothing = table.number("label_smoothing", "a share from 0 to 1", is_share)?.unwrap_or(0.0);
    }
    table.finish()?;
    Ok(find(name, smoothing))
}

/// Writes the loss.
pub(super) fn write(loss: &AnyLoss, writer: &mut TomlWriter) {
    let mut table = toml::Table::from_iter([("name".to_owned(), Loss::<f32>::name(loss).into())]);
    if let Some(smoothing) = label_smoothing(loss) {
        table.insert("label_smoothing".to_owned(), smoothing.into());
    }
    writer.key("loss", toml::Value::Table(table));
}

/// The activation of the output layer for a loss, unless the recipe has one.
pub(super) fn output_activation(loss: &AnyLoss) -> Activation {
    Loss::<f32>::activation(loss).unwrap_or(Activation::Softmax)
}

/// The loss of this name.
fn find(name: &str, label_smoothing: f64) -> Option<AnyLoss> {
    let from_logits = false;
    Some(match name {
        "sparse_categorical_crossentropy" => {
            AnyLoss::SparseCategoricalCrossentropy(SparseCategoricalCrossentropy {
                from_logits,
                label_smoothing,
            })
        }
        "categorical_crossentropy" => {
            AnyLoss::CategoricalCrossentropy(CategoricalCrossentropy { from_logits, label_smoothing })
        }
        "binary_crossentropy" => {
            AnyLoss::BinaryCrossentropy(BinaryCrossentropy { from_logits, label_smoothing })
        }
        "mean_squared_error" | "mse" => AnyLoss::MeanSquaredError(MeanSquaredError),
        "mean_absolute_error" | "mae" => AnyLoss::MeanAbsoluteError(MeanAbsoluteError),
        _ => return None,
    })
}

/// The label smoothing of a loss. `None` if the loss has no such setting.
pub(super) fn label_smoothing(loss: &AnyLoss) -> Option<f64> {
    match loss {
        AnyLoss::SparseCategoricalCrossentropy(loss) => Some(loss.label_smoothing),
        AnyLoss::CategoricalCrossentropy(loss) => Some(loss.label_smoothing),
        AnyLoss::BinaryCrossentropy(loss) => Some(loss.label_smoothing),
        AnyLoss::MeanSquaredError(_) | AnyLoss::MeanAbsoluteError(_) => None,
    }
}
