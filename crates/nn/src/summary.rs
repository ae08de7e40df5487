//! The summary of a model: Keras's table of layers.

use std::fmt::Write;

use ziffer_base::thousands;
use ziffer_tensor::Scalar;

use crate::Model;
use crate::layer::{InputType, Mode};

/// The widths of the table's columns in Keras 3, without the spaces beside the text.
const WIDTHS: [usize; 3] = [31, 22, 13];

impl<T: Scalar> Model<T> {
    /// The table that Keras's `model.summary()` prints: layers, output shapes, and numbers of parameters.
    pub fn summary(&self) -> String {
        let rows: Vec<[String; 3]> = self
            .layers()
            .zip(self.slots())
            // Pixels are divided by 255 anyway. A Rescaling that does this is omitted.
            .filter(|(_, slot)| {
                !(slot.layer.class_name() == crate::rescaling::CLASS
                    && slot.layer.is_identity(Mode::Inference, InputType::Pixels))
            })
            .map(|(layer, _)| layer)
            .map(|layer| {
                let mut shape = "(None".to_owned();
                for size in layer.output_shape {
                    let _ = write!(shape, ", {size}");
                }
                shape.push(')');
                [format!("{} ({})", layer.name, layer.class_name), shape, thousands(layer.parameters)]
            })
            .collect();
        let head = ["Layer (type)", "Output Shape", "Param #"].map(str::to_owned);
        let width = |column: usize| {
            rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0).max(WIDTHS[column])
        };
        let widths = [width(0), width(1), width(2)];
        let line = |left: char, fill: char, middle: char, right: char| {
            let cells = widths.map(|width| fill.to_string().repeat(width + 2));
            format!("{left}{}{right}\n", cells.join(&middle.to_string()))
        };
        let text = |row: &[String; 3], bar: char| {
            let [a, b, c] = row;
            let [wa, wb, wc] = widths;
            format!("{bar} {a:<wa$} {bar} {b:<wb$} {bar} {c:>wc$} {bar}\n")
        };

        let mut table = "Model: \"sequential\"\n".to_owned();
        table += &line('┏', '━', '┳', '┓');
        table += &text(&head, '┃');
        table += &line('┡', '━', '╇', '┩');
        for (index, row) in rows.iter().enumerate() {
            if index > 0 {
                table += &line('├', '─', '┼', '┤');
            }
            table += &text(row, '│');
        }
        table += &line('└', '─', '┴', '┘');
        let (total, fixed) = (self.parameters(), self.non_trainable_parameters());
        for (what, number) in [("Total", total), ("Trainable", total - fixed), ("Non-trainable", fixed)] {
            let size = readable(number * size_of::<T>());
            let _ = writeln!(table, " {what} params: {} ({size})", thousands(number));
        }
        table
    }
}

/// A number of bytes as Keras writes it: in units of 1024, with two decimals.
fn readable(bytes: usize) -> String {
    let mut size = bytes as f64;
    for unit in ["B", "KB", "MB"] {
        if size < 1024.0 {
            return format!("{size:.2} {unit}");
        }
        size /= 1024.0;
    }
    format!("{size:.2} GB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, Sequential};

    /// Keras 3.15 prints this for the same network.
    const KERAS: &str = "\
Model: \"sequential\"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩
│ flatten (Flatten)               │ (None, 784)            │             0 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ dense (Dense)                   │ (None, 128)            │       100,480 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ dense_1 (Dense)                 │ (None, 64)             │         8,256 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ dense_2 (Dense)                 │ (None, 10)             │           650 │
└─────────────────────────────────┴────────────────────────┴───────────────┘
 Total params: 109,386 (427.29 KB)
 Trainable params: 109,386 (427.29 KB)
 Non-trainable params: 0 (0.00 B)
";

    #[test]
    fn the_summary_matches_keras() {
        let model = Sequential::new([28, 28])
            .flatten()
            .dense(128, Activation::Relu)
            .dense(64, Activation::Relu)
            .dense(10, Activation::Softmax)
            .build(0)
            .unwrap();
        assert_eq!(model.summary(), KERAS);
    }

    #[test]
    fn sizes_in_bytes() {
        assert_eq!([0, 1023, 1536, 5 << 20].map(readable), ["0.00 B", "1023.00 B", "1.50 KB", "5.00 MB"]);
    }
}
