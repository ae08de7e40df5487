//! The model of an architecture and of the weights in a file.

use ziffer_nn::Sequential;

use crate::architecture::{Architecture, Entry, Kind};
use crate::weights::Store;
use crate::{Assumption, ImportError, Imported, Options};

/// Builds the model. Nothing is allocated for a layer before the file is seen to have weights of that size.
pub(crate) fn assemble(
    architecture: Architecture,
    store: &Store<'_>,
    options: &Options,
) -> Result<Imported, ImportError> {
    let Architecture { input_shape, layers, mut assumptions } = architecture;
    let inputs = first_inputs(&layers, store)?;
    let is_flat = input_shape.as_ref().is_none_or(|shape| shape.len() == 1);
    let shape = match (options.input_shape.clone().or(input_shape), inputs) {
        (Some(shape), _) => shape,
        (None, Some(inputs)) => square(inputs),
        (None, None) => {
            return Err(ImportError::Model(
                "does not say its input's shape; say it with the import".to_owned(),
            ));
        }
    };
    let size = shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size));
    if let Some(inputs) = inputs.filter(|&inputs| size != Some(inputs)) {
        return Err(ImportError::InputShape { shape, inputs });
    }

    let mut sequential = Sequential::new(shape.clone());
    let mut current = shape;
    // The network takes flat samples, the model pictures.
    if is_flat && current.len() != 1 && !layers.iter().any(|entry| matches!(entry.kind, Kind::Flatten)) {
        sequential = sequential.flatten();
        current = size.into_iter().collect();
    }
    let mut weights = Vec::new();
    for entry in &layers {
        let refuse = |problem: String| entry.label.error(problem);
        let make = || entry.kind.layer().map_err(|problem| refuse(problem.to_string()));
        if matches!(entry.kind, Kind::Dense { .. }) && current.len() > 1 {
            return Err(refuse(format!("on pictures of {current:?}, expected a Flatten before it")));
        }
        if let Kind::Registered { axis: Some(axis), .. } = entry.kind
            && axis != -1
            && usize::try_from(axis) != Ok(current.len())
        {
            return Err(refuse(format!("axis is {axis}, expected -1")));
        }
        let mut layer = make()?;
        current = layer.build(&current).map_err(|problem| refuse(problem.to_string()))?;
        weights.extend(store.read(entry, &layer.weights())?);
        // The model builds one of its own.
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
    Ok(Imported { model, assumptions })
}

/// Layers that keep the number of values and need no weights of the file.
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

/// The inputs of the Dense layer that the network begins with, but for layers that keep the number of values.
fn first_inputs(layers: &[Entry], store: &Store<'_>) -> Result<Option<usize>, ImportError> {
    let first = layers.iter().find(|entry| !KEEP_SIZE.contains(&entry.kind.class()));
    match first {
        Some(entry @ Entry { kind: Kind::Dense { .. }, .. }) => store.kernel_inputs(entry).map(Some),
        _ => Ok(None),
    }
}

/// The shape of a picture of so many pixels: a square, if that is one.
fn square(pixels: usize) -> Vec<usize> {
    let side = pixels.isqrt();
    if side * side == pixels { vec![side, side] } else { vec![pixels] }
}
