//! Models as ONNX files, which other programs run.
//!
//! The graph takes pictures as they are, `[N, ...]` of pixels 0 to 255, divides them by 255, and gives the model's outputs,
//! `[N, O]`. The file is protobuf, after `onnx.proto` of ONNX 1.13 (IR version 8, opset 17), written by hand: messages of
//! a dozen fields do not pay for a library.

use ziffer_tensor::Activation;

use crate::Model;

/// The type of the pixels that an exported graph takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PixelType {
    /// Bytes.
    #[default]
    U8,
    /// The numbers 0 to 255 as `f32`.
    F32,
}

/// A model that ONNX has no words for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("layer {layer} is a {class}; only Flatten and Dense can be exported to ONNX")]
pub struct OnnxError {
    /// The layer's name.
    pub layer: String,
    /// Its class.
    pub class: String,
}

/// The versions of the format and of the operators that are used.
const IR_VERSION: u64 = 8;
const OPSET_VERSION: u64 = 17;

/// `TensorProto.DataType`.
const FLOAT: u64 = 1;
const UINT8: u64 = 2;

impl Model<f32> {
    /// The model as the bytes of an ONNX file. The same model gives the same bytes.
    ///
    /// The input is called `images`, the output `probabilities` after a softmax and `outputs` after anything else.
    ///
    /// # Errors
    /// If there is a layer of another class than Flatten and Dense.
    pub fn to_onnx(&self, pixels: PixelType) -> Result<Vec<u8>, OnnxError> {
        let mut nodes: Vec<Node> = Vec::new();
        let mut initializers = vec![tensor("scale", &[], &[255.0])];
        let mut value = match pixels {
            PixelType::U8 => {
                nodes.push(Node::new("Cast", &["images"], "pixels").attribute("to", FLOAT));
                "pixels"
            }
            PixelType::F32 => "images",
        }
        .to_owned();
        nodes.push(Node::new("Div", &[&value, "scale"], "scaled"));
        nodes.push(Node::new("Flatten", &["scaled"], "flat").attribute("axis", 1));
        "flat".clone_into(&mut value);
        let mut last = Activation::Linear;
        for placed in self.placed() {
            let (name, class) = (&placed.name, placed.layer.class_name());
            match class {
                // The graph is flat from its beginning.
                "Flatten" => {}
                "Dense" => {
                    let (kernel, bias) = (format!("{name}.kernel"), format!("{name}.bias"));
                    for weight in [&kernel, &bias] {
                        let numbers = self.weight(weight).expect("a dense layer's weight");
                        let shape: Vec<u64> = numbers.shape().iter().map(|&size| size as u64).collect();
                        initializers.push(tensor(weight, &shape, numbers.as_slice().expect("in order")));
                    }
                    let affine = format!("{name}.affine");
                    nodes.push(Node::new("Gemm", &[&value, &kernel, &bias], &affine));
                    let config = placed.layer.config();
                    let activation = config.get("activation").and_then(|activation| activation.as_str());
                    last = activation.and_then(|activation| activation.parse().ok()).unwrap_or_default();
                    value = affine;
                    let operator = match last {
                        Activation::Linear => continue,
                        Activation::Relu => "Relu",
                        Activation::Sigmoid => "Sigmoid",
                        Activation::Tanh => "Tanh",
                        Activation::Softmax => "Softmax",
                    };
                    let activated = format!("{name}.activated");
                    let node = Node::new(operator, &[&value], &activated);
                    nodes.push(if last == Activation::Softmax { node.attribute("axis", 1) } else { node });
                    value = activated;
                }
                _ => return Err(OnnxError { layer: name.clone(), class: class.to_owned() }),
            }
        }
        let output = if last == Activation::Softmax { "probabilities" } else { "outputs" };
        nodes.push(Node::new("Identity", &[&value], output));

        let mut graph = Message::default();
        nodes.iter().for_each(|node| graph.message(1, &node.0));
        graph.text(2, "ziffer");
        initializers.iter().for_each(|initializer| graph.message(5, initializer));
        let element = if pixels == PixelType::U8 { UINT8 } else { FLOAT };
        graph.message(11, &value_info("images", element, self.input_shape()));
        graph.message(12, &value_info(output, FLOAT, self.output_shape()));

        let mut opset = Message::default();
        opset.text(1, "").number(2, OPSET_VERSION);
        let mut model = Message::default();
        model.number(1, IR_VERSION).text(2, "ziffer").text(3, env!("CARGO_PKG_VERSION"));
        model.message(7, &graph);
        model.message(8, &opset);
        Ok(model.0)
    }
}

/// A `NodeProto` with one output.
struct Node(Message);

impl Node {
    fn new(operator: &str, inputs: &[&str], output: &str) -> Self {
        let mut node = Message::default();
        inputs.iter().for_each(|input| {
            node.text(1, input);
        });
        node.text(2, output).text(3, output).text(4, operator);
        Self(node)
    }

    /// Adds an integer.
    fn attribute(mut self, name: &str, value: u64) -> Self {
        /// `AttributeProto.AttributeType`.
        const INT: u64 = 2;
        let mut attribute = Message::default();
        attribute.text(1, name).number(3, value).number(20, INT);
        self.0.message(5, &attribute);
        self
    }
}

/// A `TensorProto`.
fn tensor(name: &str, shape: &[u64], numbers: &[f32]) -> Message {
    let mut tensor = Message::default();
    shape.iter().for_each(|&size| {
        tensor.number(1, size);
    });
    tensor.number(2, FLOAT).text(8, name);
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    tensor.bytes(9, &bytes);
    tensor
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

/// A message in protobuf's wire format.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// Adds an integer field.
    fn number(&mut self, field: u64, value: u64) -> &mut Self {
        self.varint(field << 3);
        self.varint(value);
        self
    }

    /// Adds a field that has a length.
    fn bytes(&mut self, field: u64, bytes: &[u8]) -> &mut Self {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(&mut self, field: u64, text: &str) -> &mut Self {
        self.bytes(field, text.as_bytes())
    }

    fn message(&mut self, field: u64, message: &Message) {
        self.bytes(field, &message.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_texts_on_the_wire() {
        // The examples of protobuf's encoding guide: 150 in field 1, "testing" in field 2.
        let mut message = Message::default();
        message.number(1, 150).text(2, "testing");
        assert_eq!(message.0, *b"\x08\x96\x01\x12\x07testing");
    }
}
