//! The tutorial in burn, on its CPU backend `flex`.
//!
//! For a fair comparison, the data are two tensors in memory with scaled pixels, outside of autodiff. A batch is one gather of
//! rows. Adam is burn's, with Keras's epsilon. Training computes no metrics. Denormal numbers are flushed to zero. AVX-512 is
//! enabled, and the code is compiled for the processor of this machine.

#[path = "../../mnist.rs"]
mod mnist;

use std::time::Instant;

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Int, Tensor, TensorData};
use mnist::{Arguments, BATCH, EPOCHS, LAYERS, PIXELS, Random, TRAIN};

#[derive(Module, Debug)]
struct Network {
    layers: Vec<Linear>,
}

impl Network {
    fn new(random: &mut Random, device: &Device) -> Self {
        let layers = LAYERS.iter().map(|&(inputs, units)| {
            let kernel = TensorData::new(random.glorot(inputs, units), [inputs, units]);
            Linear {
                weight: Param::from_data(kernel, device),
                bias: Some(Param::from_tensor(Tensor::zeros([units], device))),
            }
        });
        Self { layers: layers.collect() }
    }

    /// The network without the softmax, which the loss computes.
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let last = self.layers.len() - 1;
        let x = self.layers[..last].iter().fold(x, |x, layer| relu(layer.forward(x)));
        self.layers[last].forward(x)
    }
}

struct Samples {
    x: Tensor<2>,
    y: Tensor<1, Int>,
}

impl Samples {
    fn read(arguments: &Arguments, name: &str, device: &Device) -> mnist::Result<Self> {
        let (images, labels) = mnist::split(&arguments.data, name)?;
        let labels: Vec<i32> = labels.into_iter().map(i32::from).collect();
        Ok(Self {
            x: Tensor::from_data(TensorData::new(images, [labels.len(), PIXELS]), device),
            y: Tensor::from_ints(labels.as_slice(), device),
        })
    }

    /// Mean loss and accuracy.
    fn evaluate(self, network: &Network) -> (f32, f64) {
        let samples = self.y.dims()[0] as f64;
        let logits = network.forward(self.x);
        let loss =
            CrossEntropyLossConfig::new().init(&logits.device()).forward(logits.clone(), self.y.clone());
        let correct = logits.argmax(1).flatten::<1>(0, 1).equal(self.y).int().sum();
        (loss.into_scalar(), f64::from(correct.into_scalar::<i32>()) / samples)
    }
}

fn main() -> mnist::Result<()> {
    let arguments = Arguments::parse()?;
    mnist::flush_denormals();
    rayon::ThreadPoolBuilder::new().num_threads(arguments.threads).build_global()?;
    let device = Device::flex();
    let train = Samples::read(&arguments, "train", &device)?;
    let test = Samples::read(&arguments, "t10k", &device)?;
    let mut random = Random::new(arguments.seed);
    let mut network = Network::new(&mut random, &device.clone().autodiff());
    let mut adam = AdamConfig::new().with_epsilon(1e-7).init();
    let loss = CrossEntropyLossConfig::new().init(&device);

    let start = Instant::now();
    for epoch in 1..=EPOCHS {
        for rows in random.order::<i32>().chunks(BATCH) {
            let rows = Tensor::from_ints(rows, &device);
            let logits = network.forward(train.x.clone().select(0, rows.clone()));
            let gradients = loss.forward(logits, train.y.clone().select(0, rows)).backward();
            let gradients = GradientsParams::from_grads(gradients, &network);
            network = adam.step(1e-3, network, gradients);
        }
        let validation = Samples { x: train.x.clone().slice([TRAIN..]), y: train.y.clone().slice([TRAIN..]) };
        let (loss, accuracy) = validation.evaluate(&network.valid());
        println!("Epoch {epoch} - val_accuracy: {accuracy:.4} - val_loss: {loss:.4}");
    }
    let fit_seconds = start.elapsed().as_secs_f64();
    let (_, accuracy) = test.evaluate(&network.valid());
    mnist::report(fit_seconds, accuracy, include_str!("../Cargo.lock"), &["burn"]);
    Ok(())
}
