//! A graph that layers add themselves to.

use ziffer_tensor::Activation;

use super::protobuf::Message;
use crate::Model;
use crate::layer::WeightSpec;

/// The versions of the format and of the operators that are used.
const IR_VERSION: u64 = 8;
const OPSET_VERSION: u64 = 17;

/// `TensorProto.DataType`.
const FLOAT: u64 = 1;
const UINT8: u64 = 2;
const INT64: u64 = 7;

/// A layer that says nothing of its export.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot be exported to ONNX")]
pub struct Unsupported;

ziffer_base::debug_as_message!(Unsupported);

/// An ONNX graph that is being built. Values are known by their names.
#[derive(Debug)]
pub struct Graph<'a> {
    model: &'a Model<f32>,
    nodes: Vec<Message>,
    initializers: Vec<Message>,
}

/// A layer on its way into a graph.
#[derive(Clone, Copy, Debug)]
pub struct ExportedLayer<'a> {
    /// The layer's name: `dense_1`.
    pub name: &'a str,
    /// The shape of an output sample.
    pub output_shape: &'a [usize],
    pub(super) specs: &'a [WeightSpec],
}

impl ExportedLayer<'_> {
    /// A name for a value of this layer, which no other layer has: `dense_1.NAME`.
    pub fn value(&self, name: &str) -> String {
        format!("{}.{name}", self.name)
    }
}

impl<'a> Graph<'a> {
    pub(super) fn new(model: &'a Model<f32>) -> Self {
        Self { model, nodes: Vec::new(), initializers: Vec::new() }
    }

    /// Adds a node of one of ONNX's operators without attributes, and returns the name of its output.
    pub fn node(&mut self, operator: &str, inputs: &[&str], output: &str) -> String {
        self.node_with(operator, inputs, output, &[], &[])
    }

    /// Adds a node with attributes: whole numbers, and numbers.
    pub fn node_with(
        &mut self,
        operator: &str,
        inputs: &[&str],
        output: &str,
        integers: &[(&str, u64)],
        floats: &[(&str, f32)],
    ) -> String {
        /// `AttributeProto.AttributeType`.
        const TYPE_FLOAT: u64 = 1;
        const TYPE_INT: u64 = 2;
        let mut node = Message::default();
        inputs.iter().for_each(|input| {
            node.text(1, input);
        });
        node.text(2, output).text(3, output).text(4, operator);
        for (name, value) in integers {
            let mut attribute = Message::default();
            attribute.text(1, name).number(3, *value).number(20, TYPE_INT);
            node.message(5, &attribute);
        }
        for (name, value) in floats {
            let mut attribute = Message::default();
            attribute.text(1, name).float(2, *value).number(20, TYPE_FLOAT);
            node.message(5, &attribute);
        }
        self.nodes.push(node);
        output.to_owned()
    }

    /// Adds a constant of this shape, and returns its name.
    ///
    /// # Panics
    /// If there are not as many numbers as the shape says.
    pub fn constant(&mut self, name: &str, shape: &[usize], numbers: &[f32]) -> String {
        assert_eq!(shape.iter().product::<usize>(), numbers.len(), "numbers of {name}");
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.tensor(name, shape, FLOAT, &bytes)
    }

    /// Adds a constant vector of whole numbers, and returns its name.
    pub fn constant_i64(&mut self, name: &str, numbers: &[i64]) -> String {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.tensor(name, &[numbers.len()], INT64, &bytes)
    }

    fn tensor(&mut self, name: &str, shape: &[usize], element: u64, bytes: &[u8]) -> String {
        let mut tensor = Message::default();
        shape.iter().for_each(|&size| {
            tensor.number(1, size as u64);
        });
        tensor.number(2, element).text(8, name).bytes(9, bytes);
        self.initializers.push(tensor);
        name.to_owned()
    }

    /// The numbers of weight `index` of a layer.
    ///
    /// # Panics
    /// If there is no such weight.
    pub fn numbers(&self, layer: &ExportedLayer<'_>, index: usize) -> Vec<f32> {
        let name = layer.value(layer.specs[index].name);
        self.model.weight(&name).expect("a layer's weight").iter().copied().collect()
    }

    /// Adds weight `index` of a layer as a constant, and returns its name.
    ///
    /// # Panics
    /// If there is no such weight.
    pub fn weight(&mut self, layer: &ExportedLayer<'_>, index: usize) -> String {
        let numbers = self.numbers(layer, index);
        let spec = &layer.specs[index];
        self.constant(&layer.value(spec.name), &spec.shape, &numbers)
    }

    /// Adds an activation, over rows for a softmax, whose output has this name. A linear one adds nothing.
    ///
    /// Those that the operators of opset 17 do not have are composed of others.
    pub fn activation(&mut self, activation: Activation, input: &str, output: &str) -> String {
        // Values between are called after the output.
        let part = |name: &str| format!("{output}.{name}");
        let operator = match activation {
            Activation::Linear => return input.to_owned(),
            Activation::Relu => "Relu",
            Activation::Sigmoid => "Sigmoid",
            Activation::Tanh => "Tanh",
            Activation::Softplus => "Softplus",
            Activation::Softsign => "Softsign",
            Activation::Exponential => "Exp",
            // Its alpha is 1 by default.
            Activation::Elu => "Elu",
            Activation::Softmax => {
                return self.node_with("Softmax", &[input], output, &[("axis", 1)], &[]);
            }
            Activation::LeakyRelu => {
                return self.node_with("LeakyRelu", &[input], output, &[], &[("alpha", 0.2)]);
            }
            Activation::HardSigmoid => {
                let attributes = [("alpha", 1.0 / 6.0), ("beta", 0.5)];
                return self.node_with("HardSigmoid", &[input], output, &[], &attributes);
            }
            Activation::Relu6 => {
                let least = self.constant(&part("min"), &[], &[0.0]);
                let most = self.constant(&part("max"), &[], &[6.0]);
                return self.node("Clip", &[input, &least, &most], output);
            }
            // Not Selu, which fewer programs have.
            Activation::Selu => {
                let alpha = [("alpha", 1.673_263_2)];
                let elu = self.node_with("Elu", &[input], &part("elu"), &[], &alpha);
                return self.times(&elu, 1.050_701, output);
            }
            Activation::Silu => {
                let factor = self.node("Sigmoid", &[input], &part("sigmoid"));
                return self.node("Mul", &[input, &factor], output);
            }
            Activation::Mish => {
                let softplus = self.node("Softplus", &[input], &part("softplus"));
                let factor = self.node("Tanh", &[&softplus], &part("tanh"));
                return self.node("Mul", &[input, &factor], output);
            }
            Activation::Gelu => {
                let scaled = self.times(input, std::f32::consts::FRAC_1_SQRT_2, &part("scaled"));
                let erf = self.node("Erf", &[&scaled], &part("erf"));
                return self.half_of_one_plus(input, &erf, output);
            }
            Activation::GeluTanh => {
                let square = self.node("Mul", &[input, input], &part("square"));
                let cube = self.node("Mul", &[&square, input], &part("cube"));
                let small = self.times(&cube, 0.044_715, &part("small"));
                let sum = self.node("Add", &[input, &small], &part("sum"));
                let scaled = self.times(&sum, 0.797_884_6, &part("scaled"));
                let tanh = self.node("Tanh", &[&scaled], &part("tanh"));
                return self.half_of_one_plus(input, &tanh, output);
            }
        };
        self.node(operator, &[input], output)
    }

    /// Adds a product with a number.
    fn times(&mut self, input: &str, factor: f32, output: &str) -> String {
        let factor = self.constant(&format!("{output}.factor"), &[], &[factor]);
        self.node("Mul", &[input, &factor], output)
    }

    /// Adds input (1 + of) / 2.
    fn half_of_one_plus(&mut self, input: &str, of: &str, output: &str) -> String {
        let one = self.constant(&format!("{output}.one"), &[], &[1.0]);
        let sum = self.node("Add", &[of, &one], &format!("{output}.sum_with_one"));
        let product = self.node("Mul", &[input, &sum], &format!("{output}.double"));
        self.times(&product, 0.5, output)
    }

    /// Adds a Reshape of samples to rows of the last axis of a layer's output, if samples have other axes. A layer calls it once.
    pub(crate) fn by_last_axis(&mut self, layer: &ExportedLayer<'_>, input: &str) -> String {
        let [_, .., columns] = layer.output_shape else { return input.to_owned() };
        let shape = self.constant_i64(&layer.value("shape_of_rows"), &[-1, *columns as i64]);
        self.node("Reshape", &[input, &shape], &layer.value("rows"))
    }

    /// Adds a Reshape of rows of the last axis to samples, after [`by_last_axis`](Self::by_last_axis).
    pub(crate) fn by_sample(&mut self, layer: &ExportedLayer<'_>, input: &str) -> String {
        if layer.output_shape.len() < 2 {
            return input.to_owned();
        }
        let numbers = layer.output_shape.iter().product::<usize>() as i64;
        let shape = self.constant_i64(&layer.value("shape_of_samples"), &[-1, numbers]);
        self.node("Reshape", &[input, &shape], &layer.value("samples"))
    }

    /// Adds a Flatten of each sample to a row.
    pub fn flatten(&mut self, input: &str, output: &str) -> String {
        self.node_with("Flatten", &[input], output, &[("axis", 1)], &[])
    }

    pub(super) fn cast_to_float(&mut self, input: &str, output: &str) -> String {
        self.node_with("Cast", &[input], output, &[("to", FLOAT)], &[])
    }

    /// The file of the graph, whose input is `images` and whose output has this name.
    pub(super) fn finish(
        self,
        takes_bytes: bool,
        input_shape: &[usize],
        output: &str,
        output_shape: &[usize],
    ) -> Vec<u8> {
        let mut graph = Message::default();
        self.nodes.iter().for_each(|node| graph.message(1, node));
        graph.text(2, "ziffer");
        self.initializers.iter().for_each(|initializer| graph.message(5, initializer));
        let element = if takes_bytes { UINT8 } else { FLOAT };
        graph.message(11, &value_info("images", element, input_shape));
        let outputs = [output_shape.iter().product()];
        graph.message(12, &value_info(output, FLOAT, &outputs));

        let mut opset = Message::default();
        opset.text(1, "").number(2, OPSET_VERSION);
        let mut model = Message::default();
        model.number(1, IR_VERSION).text(2, "ziffer").text(3, env!("CARGO_PKG_VERSION"));
        model.message(7, &graph);
        model.message(8, &opset);
        model.into_bytes()
    }
}

/// A `ValueInfoProto` of shape `[N, ...]`.
fn value_info(name: &str, element: u64, shape: &[usize]) -> Message {
    let mut sizes = Message::default();
    let mut any = Message::default();
    any.text(2, "N");
    sizes.message(1, &any);
    for &size in shape {
        let mut known = Message::default();
        known.number(1, size as u64);
        sizes.message(1, &known);
    }
    let mut tensor = Message::default();
    tensor.number(1, element).message(2, &sizes);
    let mut of_tensor = Message::default();
    of_tensor.message(1, &tensor);
    let mut info = Message::default();
    info.text(1, name).message(2, &of_tensor);
    info
}
