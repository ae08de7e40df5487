//! The check of a layer that is parallel over outputs.

use ndarray::{Array2, ArrayView2, s};

use super::error::GradientError;
use crate::layer::{Context, GradientConsumer, GradientSink, Input, Mode, SinkCursor, Weights};
use crate::model::Model;

/// Computes parts of the outputs of a model of one layer separately, with the gradients of their weights, and compares them with
/// all outputs computed together.
pub(super) fn check_parts_of_outputs(
    model: &Model<f64>,
    x: Input<'_, f64>,
    d: ArrayView2<'_, f64>,
) -> Result<(), GradientError> {
    let slot = &model.slots()[0];
    let width = slot.outputs();
    let of = |outputs: std::ops::Range<usize>| {
        // The columns of the weights that belong to these outputs.
        let mut block = Vec::new();
        let mut ranges = Vec::new();
        for range in &slot.ranges {
            let start = block.len();
            let rows = model.block()[range.clone()].chunks_exact(width);
            rows.for_each(|row| block.extend_from_slice(&row[outputs.clone()]));
            ranges.push(start..block.len());
        }
        let owned: Vec<_> = ranges.iter().map(|range| 0..range.len()).collect();
        let mut scratch = vec![0.0; slot.scratch];
        let mut context = Context::new(Mode::Training, 0, &mut [], &mut scratch);
        context.batch_rows = d.nrows();
        let mut y = Array2::from_elem((d.nrows(), width), f64::NAN);
        let weights = Weights::new(&block, &ranges);
        let columns = s![.., outputs.clone()];
        slot.layer.forward(&mut context, weights, x.reborrow(), y.slice_mut(columns));
        let mut stored = Stored { gradients: vec![f64::NAN; block.len()], ranges: &ranges };
        let mut cursor = SinkCursor::default();
        let mut sink = GradientSink::new(&slot.specs, &owned, &mut cursor, &mut stored);
        slot.layer.gradient(x.reborrow(), d.slice(columns), &[], &mut sink);
        sink.finish();
        let gradients: Vec<Vec<f64>> =
            ranges.iter().map(|range| stored.gradients[range.clone()].to_vec()).collect();
        (y, gradients)
    };
    let (whole_y, whole) = of(0..width);
    // A step assigns some outputs to each thread.
    for outputs in [0..width / 2, width / 2..width].into_iter().filter(|outputs| !outputs.is_empty()) {
        let (y, gradients) = of(outputs.clone());
        for ((place, &alone), &whole) in y.indexed_iter().zip(&whole_y) {
            if outputs.contains(&place.1) && alone.to_bits() != whole.to_bits() {
                return Err(GradientError::Outputs { of: format!("output {place:?}"), whole, alone });
            }
        }
        for ((spec, whole), part) in slot.specs.iter().zip(&whole).zip(&gradients) {
            let columns = whole.chunks_exact(width).flat_map(|row| &row[outputs.clone()]);
            for (element, (&whole, &alone)) in columns.zip(part).enumerate() {
                if alone.to_bits() != whole.to_bits() {
                    let of = format!(
                        "the gradient with respect to {}[{element}] of outputs {outputs:?}",
                        spec.name
                    );
                    return Err(GradientError::Outputs { of, whole, alone });
                }
            }
        }
    }
    Ok(())
}

/// Stores gradients.
struct Stored<'a> {
    gradients: Vec<f64>,
    ranges: &'a [std::ops::Range<usize>],
}

impl GradientConsumer<f64> for Stored<'_> {
    fn push(&mut self, index: usize, offset: usize, gradient: &[f64]) {
        self.gradients[self.ranges[index].start + offset..][..gradient.len()].copy_from_slice(gradient);
    }

    fn non_trainable(&mut self, index: usize, range: std::ops::Range<usize>) -> &mut [f64] {
        let start = self.ranges[index].start;
        &mut self.gradients[start + range.start..start + range.end]
    }
}
