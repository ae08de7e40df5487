//! Building the model from an architecture and the weights in a file.

use ziffer_nn::{Model, Sequential};

use super::architecture::{Architecture, Entry, Kind};
use super::assumption::Assumption;
use super::error::ImportError;
use super::weights::StoredWeights;

/// Builds the model. Memory for a layer is allocated only after its weights are found in the file. `wanted_shape` overrides the
/// shape of an image.
pub(super) fn build_model(
    architecture: Architecture,
    stored: &StoredWeights<'_>,
    wanted_shape: Option<&[usize]>,
) -> Result<(Model, Vec<Assumption>), ImportError> {
    let Architecture { input_shape, layers, mut assumptions } = architecture;
    let inputs = first_inputs(&layers, stored)?;
    let is_flat = input_shape.as_ref().is_none_or(|shape| shape.len() == 1);
    let shape = match (wanted_shape.map(<[usize]>::to_vec).or(input_shape), inputs) {
        (Some(shape), _) => shape,
        (None, Some(inputs)) => square(inputs),
        (None, None) => {
            return Err(ImportError::Model("has no input shape; pass one to the import".to_owned()));
        }
    };
    let size = shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size));
    if let Some(inputs) = inputs.filter(|&inputs| size != Some(inputs)) {
        return Err(ImportError::InputShape { shape, inputs });
    }

    let mut sequential = Sequential::new(shape.clone());
    let mut current = shape;
    // The network takes flat samples, the model takes images.
    if is_flat && current.len() != 1 && !layers.iter().any(|entry| matches!(entry.kind, Kind::Flatten)) {
        sequential = sequential.flatten();
        current = size.into_iter().collect();
    }
    let mut weights = Vec::new();
    for entry in &layers {
        let refuse = |problem: String| entry.id.error(problem);
        let make = || entry.kind.layer().map_err(|problem| refuse(problem.to_string()));
        if matches!(entry.kind, Kind::Dense { .. }) && current.len() > 1 {
            return Err(refuse(format!("its input has shape {current:?}, expected a Flatten before it")));
        }
        if let Kind::Registered { axis: Some(axis), .. } = entry.kind
            && axis != -1
            && usize::try_from(axis) != Ok(current.len())
        {
            return Err(refuse(format!("axis is {axis}, expected -1")));
        }
        let mut layer = make()?;
        current = layer.build(&current).map_err(|problem| refuse(problem.to_string()))?;
        weights.extend(stored.read(entry, &layer.weights())?);
        // The model builds its own copy.
        sequential = sequential.add_boxed(make()?);
    }
    let mut model = sequential.build_zeroed()?;
    let mut weights = weights.into_iter();
    model.for_each_weight_mut(|_, weight| {
        weight.copy_from_slice(&weights.next().expect("each layer's weights were read"));
    });
    let prepended = model.layers().count() - layers.len();
    let names: Vec<String> = model.layers().skip(prepended).map(|layer| layer.name.to_owned()).collect();
    for (name, _) in names.iter().zip(&layers).filter(|(_, entry)| !entry.trainable) {
        model.set_trainable(name, false).expect("it is a layer of the model");
    }
    if !model.takes_pixels() {
        model.set_takes_pixels(true);
        if !assumptions.contains(&Assumption::Architecture) {
            assumptions.push(Assumption::Scale);
        }
    }
    Ok((model, assumptions))
}

/// The layers that keep the number of values and have no weights.
const KEEP_SIZE: [&str; 10] = [
    "Activation",
    "Dropout",
    "ELU",
    "Flatten",
    "GaussianNoise",
    "LeakyReLU",
    "ReLU",
    "Rescaling",
    "Reshape",
    "Softmax",
];

/// The inputs of the first Dense layer, if only layers that keep the number of values precede it.
fn first_inputs(layers: &[Entry], stored: &StoredWeights<'_>) -> Result<Option<usize>, ImportError> {
    let first = layers.iter().find(|entry| !KEEP_SIZE.contains(&entry.kind.class()));
    match first {
        Some(entry @ Entry { kind: Kind::Dense { .. }, .. }) => stored.kernel_inputs(entry).map(Some),
        _ => Ok(None),
    }
}

/// The shape of an image of this many pixels: a square if possible.
fn square(pixels: usize) -> Vec<usize> {
    let side = pixels.isqrt();
    if side * side == pixels { vec![side, side] } else { vec![pixels] }
}
