//! The ONNX graph that converters add operators to.

use ziffer_nn::LayerError;

use super::layer::ExportedLayer;
use super::protobuf::Message;

/// The versions of the format and of the operator set.
const IR_VERSION: u64 = 8;
const OPSET_VERSION: u64 = 17;

/// `TensorProto.DataType`.
const FLOAT: u64 = 1;
const UINT8: u64 = 2;
const INT64: u64 = 7;

/// An ONNX graph under construction. Values and constants are known by their names, which
/// [`ExportedLayer::value`] makes unique.
#[derive(Debug, Default)]
pub struct Graph {
    nodes: Vec<Message>,
    initializers: Vec<Message>,
}

impl Graph {
    /// Adds a node of an ONNX operator without attributes, and returns the name of its output.
    pub fn node(&mut self, operator: &str, inputs: &[&str], output: &str) -> String {
        self.node_with(operator, inputs, output, &[], &[])
    }

    /// Adds a node of an ONNX operator with integer and float attributes, and returns the name of its output.
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
            attribute.text(1, name).integer(3, *value).integer(20, TYPE_INT);
            node.message(5, &attribute);
        }
        for (name, value) in floats {
            let mut attribute = Message::default();
            attribute.text(1, name).float(2, *value).integer(20, TYPE_FLOAT);
            node.message(5, &attribute);
        }
        self.nodes.push(node);
        output.to_owned()
    }

    /// Adds a constant of this shape with elements in C order, and returns its name.
    ///
    /// # Panics
    /// If the number of elements is not that of the shape.
    pub fn constant(&mut self, name: &str, shape: &[usize], elements: &[f32]) -> String {
        assert_eq!(shape.iter().product::<usize>(), elements.len(), "elements of {name}");
        let bytes: Vec<u8> = elements.iter().flat_map(|element| element.to_le_bytes()).collect();
        self.tensor(name, shape, FLOAT, &bytes)
    }

    /// Adds a constant vector of integers, and returns its name.
    pub fn constant_i64(&mut self, name: &str, elements: &[i64]) -> String {
        let bytes: Vec<u8> = elements.iter().flat_map(|element| element.to_le_bytes()).collect();
        self.tensor(name, &[elements.len()], INT64, &bytes)
    }

    fn tensor(&mut self, name: &str, shape: &[usize], data_type: u64, bytes: &[u8]) -> String {
        let mut tensor = Message::default();
        shape.iter().for_each(|&size| {
            tensor.integer(1, size as u64);
        });
        tensor.integer(2, data_type).text(8, name).bytes(9, bytes);
        self.initializers.push(tensor);
        name.to_owned()
    }

    /// Adds the weight that the layer calls `name` as a constant, and returns its name in the graph.
    ///
    /// # Errors
    /// If the layer has no such weight.
    pub fn weight(&mut self, layer: &ExportedLayer<'_>, name: &str) -> Result<String, LayerError> {
        let (shape, elements) = layer.weight(name)?;
        Ok(self.constant(&layer.value(name), &shape, &elements))
    }

    /// Adds a Flatten of each sample to a row, and returns the name of its output.
    pub fn flatten(&mut self, input: &str, output: &str) -> String {
        self.node_with("Flatten", &[input], output, &[("axis", 1)], &[])
    }

    /// Adds a Cast to `f32`, and returns the name of its output.
    pub(super) fn cast_to_float(&mut self, input: &str, output: &str) -> String {
        self.node_with("Cast", &[input], output, &[("to", FLOAT)], &[])
    }

    /// The bytes of the file. The graph's input is called `images`, its output `output`.
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
        let data_type = if takes_bytes { UINT8 } else { FLOAT };
        graph.message(11, &value_info("images", data_type, input_shape));
        let outputs = [output_shape.iter().product()];
        graph.message(12, &value_info(output, FLOAT, &outputs));

        let mut opset = Message::default();
        opset.text(1, "").integer(2, OPSET_VERSION);
        let mut model = Message::default();
        model.integer(1, IR_VERSION).text(2, "ziffer").text(3, env!("CARGO_PKG_VERSION"));
        model.message(7, &graph);
        model.message(8, &opset);
        model.into_bytes()
    }
}

/// A `ValueInfoProto` of shape `[N, ...]`.
fn value_info(name: &str, data_type: u64, shape: &[usize]) -> Message {
    let mut sizes = Message::default();
    let mut any = Message::default();
    any.text(2, "N");
    sizes.message(1, &any);
    for &size in shape {
        let mut known = Message::default();
        known.integer(1, size as u64);
        sizes.message(1, &known);
    }
    let mut tensor = Message::default();
    tensor.integer(1, data_type).message(2, &sizes);
    let mut of_tensor = Message::default();
    of_tensor.message(1, &tensor);
    let mut info = Message::default();
    info.text(1, name).message(2, &of_tensor);
    info
}
