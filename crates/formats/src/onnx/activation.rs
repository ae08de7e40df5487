//! The ONNX operators of activations.

use ziffer_nn::Activation;

use super::graph::Graph;

impl Graph {
    /// Adds an activation, and returns the name of its output: `output`, or `input` for a linear one, which adds nothing. A
    /// softmax goes over rows.
    ///
    /// An activation that is no operator of opset 17 is composed of several.
    pub fn activation(&mut self, activation: Activation, input: &str, output: &str) -> String {
        // The names of intermediate values begin with the output's.
        let part = |name: &str| format!("{output}.{name}");
        let operator = match activation {
            Activation::Linear => return input.to_owned(),
            Activation::Relu => "Relu",
            Activation::Sigmoid => "Sigmoid",
            Activation::Tanh => "Tanh",
            Activation::Softplus => "Softplus",
            Activation::Softsign => "Softsign",
            Activation::Exponential => "Exp",
            // Its alpha defaults to 1.
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
            // Fewer programs implement Selu than Elu.
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

    /// Adds input * factor.
    fn times(&mut self, input: &str, factor: f32, output: &str) -> String {
        let factor = self.constant(&format!("{output}.factor"), &[], &[factor]);
        self.node("Mul", &[input, &factor], output)
    }

    /// Adds input * (1 + of) / 2.
    fn half_of_one_plus(&mut self, input: &str, of: &str, output: &str) -> String {
        let one = self.constant(&format!("{output}.one"), &[], &[1.0]);
        let sum = self.node("Add", &[of, &one], &format!("{output}.sum_with_one"));
        let product = self.node("Mul", &[input, &sum], &format!("{output}.double"));
        self.times(&product, 0.5, output)
    }
}
