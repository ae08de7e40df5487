//! The weights in an HDF5 file of Keras 3, or of the format before it.
//!
//! Keras 3 stores weights by the number of a layer among those of its class, whatever its name: `layers/dense_1/vars/0` is the
//! second Dense layer's first weight. Before Keras 3, a layer's group has the layer's name, and the attribute `weight_names` has
//! the paths in it. The optimizer's variables are stored elsewhere in both formats and are not read.

use ziffer_nn::{Activation, WeightSpec, snake_case};

use super::architecture::{Entry, Kind};
use super::error::{ImportError, LayerId, listed, shown};
use super::hdf5::Hdf5;

/// The groups in which Keras 3 and the last versions of Keras 2 store layers.
const CONTAINERS: [&str; 2] = ["layers", "_layer_checkpoint_dependencies"];
/// The names of the groups of layers without weights: their classes in snake case.
const CLASSES_WITHOUT_WEIGHTS: [&str; 14] = [
    "input_layer",
    "rescaling",
    "flatten",
    "reshape",
    "activation",
    "re_lu",
    "leaky_re_lu",
    "elu",
    "softmax",
    "dropout",
    "alpha_dropout",
    "gaussian_dropout",
    "gaussian_noise",
    "activity_regularization",
];

/// A file's weights.
pub(super) struct StoredWeights<'a> {
    file: &'a Hdf5<'a>,
    order: Order,
}

/// How the groups of layers are named.
enum Order {
    /// By the number among the layers of a class, within a group.
    Number(&'static str),
    /// By the layer's name, within a group.
    Name(&'static str),
}

impl<'a> StoredWeights<'a> {
    /// The weights in a file of Keras 3; `None` if it is another file.
    pub(super) fn by_number(file: &'a Hdf5<'a>) -> Result<Option<Self>, ImportError> {
        let groups = file.members("")?;
        let container =
            CONTAINERS.into_iter().find(|container| groups.iter().any(|group| group == container));
        Ok(container.map(|container| Self { file, order: Order::Number(container) }))
    }

    /// The weights in a group of a file of the format before Keras 3.
    pub(super) fn by_name(file: &'a Hdf5<'a>, group: &'static str) -> Self {
        Self { file, order: Order::Name(group) }
    }

    /// The paths of a layer's weights, in the order of their names.
    fn paths(&self, layer: &Entry, names: &[&str]) -> Result<Vec<String>, ImportError> {
        match self.order {
            Order::Number(container) => {
                let group = vars(container, &snake_case(layer.kind.class()), layer.number);
                let found = self.file.members(&group)?;
                // The names are numbers, and in their order 10 comes before 2.
                if found.len() == names.len() && (0..names.len()).all(|n| found.contains(&n.to_string())) {
                    return Ok((0..names.len()).map(|number| join(&group, &number.to_string())).collect());
                }
                Err(expected(&group, &found, layer, names))
            }
            Order::Name(container) => {
                let group = join(container, &layer.name);
                let found = self.file.texts(&group, "weight_names")?.unwrap_or_default();
                let path = |&name: &&str| {
                    found.iter().find(|path| weight_name(path) == name).map(|path| join(&group, path))
                };
                let paths: Option<Vec<String>> = names.iter().map(path).collect();
                match paths {
                    Some(paths) if paths.len() == found.len() => Ok(paths),
                    _ => Err(expected(&group, &found, layer, names)),
                }
            }
        }
    }

    /// The inputs of a Dense layer.
    pub(super) fn kernel_inputs(&self, layer: &Entry) -> Result<usize, ImportError> {
        let bias = matches!(layer.kind, Kind::Dense { bias: true, .. });
        let names: &[&str] = if bias { &["kernel", "bias"] } else { &["kernel"] };
        let paths = self.paths(layer, names)?;
        self.kernel_shape(&paths[0]).map(|[inputs, _]| inputs)
    }

    /// The sizes of a kernel, inputs and outputs.
    fn kernel_shape(&self, path: &str) -> Result<[usize; 2], ImportError> {
        let shape = self.file.shape(path)?;
        shape.as_slice().try_into().map_err(|_| {
            ImportError::weights(path, &format!("a kernel of shape {shape:?}, expected [inputs, outputs]"))
        })
    }

    /// A layer's weights, in the order of `specs`.
    pub(super) fn read(&self, layer: &Entry, specs: &[WeightSpec]) -> Result<Vec<Vec<f32>>, ImportError> {
        if specs.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<&str> = specs.iter().map(|spec| spec.name).collect();
        let paths = self.paths(layer, &names)?;
        let weight = |(path, spec): (&String, &WeightSpec)| {
            let shape = self.file.shape(path)?;
            if shape != spec.shape {
                let name = &layer.id.name;
                let problem =
                    format!("{} of shape {shape:?}, expected {:?} for {name}", spec.name, spec.shape);
                return Err(ImportError::weights(path, &problem));
            }
            self.file.array(path)
        };
        paths.iter().zip(specs).map(weight).collect()
    }

    /// The Dense layers of a file without an architecture: hidden ones with relu, the last one with softmax.
    pub(super) fn dense_layers(&self, layer_names: &[&str]) -> Result<Vec<Entry>, ImportError> {
        let mut layers = match self.order {
            Order::Number(container) => self.numbered(container)?,
            Order::Name(container) => {
                let named = layer_names.iter().map(|name| self.named(container, name));
                named.filter_map(Result::transpose).collect::<Result<_, _>>()?
            }
        };
        for (index, layer) in layers.iter_mut().enumerate() {
            (layer.number, layer.id.position) = (index, index + 1);
        }
        if let Some(Entry { kind: Kind::Dense { activation, .. }, .. }) = layers.last_mut() {
            *activation = Activation::Softmax;
        }
        Ok(layers)
    }

    /// The Dense layers of a file of Keras 3.
    fn numbered(&self, container: &str) -> Result<Vec<Entry>, ImportError> {
        let mut numbers = Vec::new();
        for name in &self.file.members(container)? {
            let (class, number) = match name.rsplit_once('_').map(|(class, number)| (class, number.parse())) {
                Some((class, Ok(number))) => (class, number),
                _ => (name.as_str(), 0_usize),
            };
            if class == "dense" {
                numbers.push(number);
            } else if !CLASSES_WITHOUT_WEIGHTS.contains(&class) {
                let problem =
                    "not a Dense layer, and the file has no architecture; save the whole model as .keras";
                return Err(ImportError::weights(&join(container, name), problem));
            }
        }
        numbers.sort_unstable();
        if let Some(missing) = (0..numbers.len()).find(|&number| numbers[number] != number) {
            let path = vars(container, "dense", missing);
            return Err(ImportError::weights(&path, "missing, but later layers exist"));
        }
        let dense = |number| {
            let group = vars(container, "dense", number);
            match self.file.members(&group)?.as_slice() {
                [kernel] if kernel == "0" => self.dense(&group, join(&group, "0"), false),
                [kernel, bias] if kernel == "0" && bias == "1" => self.dense(&group, join(&group, "0"), true),
                found => Err(unknown_weights(&group, found)),
            }
        };
        numbers.into_iter().map(dense).collect()
    }

    /// The Dense layer of a name; `None` if the layer has no weights.
    fn named(&self, container: &str, name: &str) -> Result<Option<Entry>, ImportError> {
        let group = join(container, name);
        let found = self.file.texts(&group, "weight_names")?.unwrap_or_default();
        match found.as_slice() {
            [] => Ok(None),
            [kernel] if weight_name(kernel) == "kernel" => {
                self.dense(name, join(&group, kernel), false).map(Some)
            }
            [kernel, bias] if weight_name(kernel) == "kernel" && weight_name(bias) == "bias" => {
                self.dense(name, join(&group, kernel), true).map(Some)
            }
            found => Err(unknown_weights(&group, found)),
        }
    }

    /// A hidden Dense layer whose kernel is at a path.
    fn dense(&self, name: &str, kernel: String, bias: bool) -> Result<Entry, ImportError> {
        let [_, units] = self.kernel_shape(&kernel)?;
        let id = LayerId { position: 0, name: shown(name), class: "Dense".to_owned() };
        let kind = Kind::dense(units, Activation::Relu, bias);
        Ok(Entry { id, name: name.to_owned(), number: 0, kind, trainable: true })
    }
}

/// The group in which Keras 3 stores the weights of a layer, by its class in snake case and its number.
fn vars(container: &str, class: &str, number: usize) -> String {
    if number == 0 {
        format!("{container}/{class}/vars")
    } else {
        format!("{container}/{class}_{number}/vars")
    }
}

/// A weight's name, from its path: `sequential/dense/kernel` or `dense/kernel:0`.
fn weight_name(path: &str) -> &str {
    let last = path.rsplit('/').next().unwrap_or(path);
    last.strip_suffix(":0").unwrap_or(last)
}

/// An error for a group that does not hold the weights of its layer.
fn expected(group: &str, found: &[impl AsRef<str>], layer: &Entry, names: &[&str]) -> ImportError {
    let found = if found.is_empty() { "empty".to_owned() } else { listed(found) };
    let names = names.join(", ");
    ImportError::weights(group, &format!("{found}, expected the weights of {}: {names}", layer.id.name))
}

/// An error for a group that does not hold the weights of a Dense layer.
fn unknown_weights(group: &str, found: &[impl AsRef<str>]) -> ImportError {
    let found = if found.is_empty() { "empty".to_owned() } else { listed(found) };
    let problem = format!(
        "{found}, expected a kernel and perhaps a bias, since the file has no architecture; save the whole model"
    );
    ImportError::weights(group, &problem)
}

fn join(group: &str, name: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{group}/{name}") }
}
