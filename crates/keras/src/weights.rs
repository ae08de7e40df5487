//! The kernels and biases of the Dense layers, in an HDF5 file of Keras 3 or in one of the form before it.
//!
//! Keras 3 files weights by the place of a layer among those of its class: `layers/dense_1/vars/0` is the second Dense
//! layer's kernel, `1` its bias, whatever its name. Before, a layer's group had its name, and the attribute `weight_names`
//! the paths in it. The optimizer's variables lie elsewhere in both, and are left alone.

use crate::ImportError;
use crate::architecture::Dense;
use crate::error::{listed, shown};
use crate::hdf5::Hdf5;

/// The weights of a Dense layer.
pub(crate) struct Affine {
    /// I.
    pub(crate) inputs: usize,
    /// O.
    pub(crate) outputs: usize,
    /// \[I, O\], in C order.
    pub(crate) kernel: Vec<f32>,
    /// \[O\].
    pub(crate) bias: Option<Vec<f32>>,
}

/// Where Keras 3 and its predecessor's last versions keep layers.
const CONTAINERS: [&str; 2] = ["layers", "_layer_checkpoint_dependencies"];
/// What the groups of layers that change nothing here, or fold into Dense, are called: their class in snake case.
const WITHOUT_WEIGHTS: [&str; 11] = [
    "input_layer",
    "rescaling",
    "flatten",
    "activation",
    "re_lu",
    "softmax",
    "dropout",
    "alpha_dropout",
    "gaussian_dropout",
    "gaussian_noise",
    "activity_regularization",
];

/// The group of Keras 3's layers, if the file has one.
pub(crate) fn container(file: &Hdf5<'_>) -> Result<Option<&'static str>, ImportError> {
    let groups = file.members("")?;
    Ok(CONTAINERS.into_iter().find(|container| groups.iter().any(|group| group == container)))
}

/// The weights of the layers of an architecture, filed by place.
pub(crate) fn by_place(
    file: &Hdf5<'_>,
    container: &str,
    layers: &[Dense],
) -> Result<Vec<Affine>, ImportError> {
    let paths = (0..layers.len()).map(|place| vars(container, place));
    paths.zip(layers).map(|(path, layer)| at_place(file, &path)?.expect(layer, &path)).collect()
}

/// The weights of all Dense layers that are filed by place, there being no architecture.
pub(crate) fn all_by_place(file: &Hdf5<'_>, container: &str) -> Result<Vec<Affine>, ImportError> {
    let names = file.members(container)?;
    let mut places = Vec::new();
    for name in &names {
        let (class, place) = match name.rsplit_once('_').map(|(class, number)| (class, number.parse())) {
            Some((class, Ok(place))) => (class, place),
            _ => (name.as_str(), 0_usize),
        };
        if class == "dense" {
            places.push(place);
        } else if !WITHOUT_WEIGHTS.contains(&class) {
            let problem =
                "a layer that is no Dense, and the file has no architecture; save the whole model as .keras";
            return Err(problem_at(&format!("{container}/{name}"), problem));
        }
    }
    places.sort_unstable();
    if let Some(missing) = (0..places.len()).find(|&place| places[place] != place) {
        return Err(problem_at(&vars(container, missing), "not there, though later layers are"));
    }
    places.into_iter().map(|place| at_place(file, &vars(container, place))).collect()
}

/// The weights of the layers of an architecture, filed by name within a group.
pub(crate) fn by_name(file: &Hdf5<'_>, group: &str, layers: &[Dense]) -> Result<Vec<Affine>, ImportError> {
    layers
        .iter()
        .map(|layer| {
            let path = join(group, &layer.name);
            let affine = named(file, &path)?.ok_or_else(|| problem_at(&path, "has no weights"))?;
            affine.expect(layer, &path)
        })
        .collect()
}

/// The weights of all layers that have some, filed by name, there being no architecture.
pub(crate) fn all_by_name(file: &Hdf5<'_>, layer_names: &[&str]) -> Result<Vec<Affine>, ImportError> {
    layer_names.iter().filter_map(|name| named(file, name).transpose()).collect()
}

/// Where Keras 3 keeps the weights of the Dense layer at a place.
fn vars(container: &str, place: usize) -> String {
    if place == 0 { format!("{container}/dense/vars") } else { format!("{container}/dense_{place}/vars") }
}

fn at_place(file: &Hdf5<'_>, path: &str) -> Result<Affine, ImportError> {
    let names = file.members(path)?;
    match names.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["0"] => Affine::read(file, &format!("{path}/0"), None),
        ["0", "1"] => Affine::read(file, &format!("{path}/0"), Some(&format!("{path}/1"))),
        found => {
            let found = if found.is_empty() { "nothing there".to_owned() } else { listed(found) };
            Err(problem_at(path, &format!("{found}, expected a kernel 0 and perhaps a bias 1")))
        }
    }
}

/// The weights that a layer's group names; none if it names none.
fn named(file: &Hdf5<'_>, path: &str) -> Result<Option<Affine>, ImportError> {
    let names = file.texts(path, "weight_names")?.unwrap_or_default();
    let is = |name: &str, role: &str| {
        // `sequential/dense/kernel` or `dense/kernel:0`.
        let last = name.rsplit('/').next().unwrap_or(name);
        last.strip_suffix(":0").unwrap_or(last) == role
    };
    match *names.as_slice() {
        [] => Ok(None),
        [kernel] if is(kernel, "kernel") => Affine::read(file, &join(path, kernel), None).map(Some),
        [kernel, bias] if is(kernel, "kernel") && is(bias, "bias") => {
            Affine::read(file, &join(path, kernel), Some(&join(path, bias))).map(Some)
        }
        _ => {
            let found = listed(&names);
            Err(problem_at(path, &format!("a layer of the weights [{found}], expected a kernel and a bias")))
        }
    }
}

impl Affine {
    fn read(file: &Hdf5<'_>, kernel_path: &str, bias_path: Option<&str>) -> Result<Self, ImportError> {
        let kernel = file.array(kernel_path)?;
        let &[inputs, outputs] = kernel.shape.as_slice() else {
            let problem = format!("a kernel of {:?}, expected [inputs, outputs]", kernel.shape);
            return Err(problem_at(kernel_path, &problem));
        };
        let bias = match bias_path {
            None => None,
            Some(path) => {
                let bias = file.array(path)?;
                if bias.shape != [outputs] {
                    let problem = format!("a bias of {:?}, expected [{outputs}]", bias.shape);
                    return Err(problem_at(path, &problem));
                }
                Some(bias.values)
            }
        };
        Ok(Self { inputs, outputs, kernel: kernel.values, bias })
    }

    /// Itself, if it is that of the layer.
    fn expect(self, layer: &Dense, path: &str) -> Result<Self, ImportError> {
        if self.outputs != layer.units || self.bias.is_some() != layer.bias {
            let of = |units: usize, bias: bool| {
                format!("{units} units, {} a bias", if bias { "with" } else { "without" })
            };
            let (found, expected) = (of(self.outputs, self.bias.is_some()), of(layer.units, layer.bias));
            let problem = format!("weights of {found}, expected those of {}: {expected}", shown(&layer.name));
            return Err(problem_at(path, &problem));
        }
        Ok(self)
    }
}

fn join(group: &str, name: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{group}/{name}") }
}

fn problem_at(path: &str, problem: &str) -> ImportError {
    ImportError::Weights { path: shown(path), problem: problem.to_owned() }
}
