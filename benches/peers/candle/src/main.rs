//! The tutorial in candle.
//!
//! For a fair comparison, the data are two tensors in memory with scaled pixels. A batch is one gather of rows. Adam is candle's
//! AdamW without decay, with Keras's epsilon. Training computes no metrics. Denormal numbers are flushed to zero. AVX-512 is
//! enabled, and the code is compiled for the processor of this machine.

#[path = "../../mnist.rs"]
mod mnist;

use std::time::Instant;

use candle_core::{D, DType, Device, Tensor, Var};
use candle_nn::{AdamW, Linear, Module, Optimizer, ParamsAdamW, loss};
use mnist::{Arguments, BATCH, EPOCHS, LAYERS, PIXELS, Random, TRAIN};

/// The layers, and their weights for the optimizer.
fn network(random: &mut Random) -> candle_core::Result<(Vec<Linear>, Vec<Var>)> {
    let (mut layers, mut weights) = (Vec::new(), Vec::new());
    for (inputs, units) in LAYERS {
        let kernel = Var::from_vec(random.glorot(inputs, units), (units, inputs), &Device::Cpu)?;
        let bias = Var::zeros(units, DType::F32, &Device::Cpu)?;
        layers.push(Linear::new(kernel.as_tensor().clone(), Some(bias.as_tensor().clone())));
        weights.extend([kernel, bias]);
    }
    Ok((layers, weights))
}

/// The network without the softmax, which the loss computes.
fn forward(layers: &[Linear], x: &Tensor) -> candle_core::Result<Tensor> {
    let mut x = layers[0].forward(x)?;
    for layer in &layers[1..] {
        x = layer.forward(&x.relu()?)?;
    }
    Ok(x)
}

fn read(arguments: &Arguments, name: &str) -> mnist::Result<(Tensor, Tensor)> {
    let (images, labels) = mnist::split(&arguments.data, name)?;
    let samples = labels.len();
    let labels: Vec<u32> = labels.into_iter().map(u32::from).collect();
    Ok((
        Tensor::from_vec(images, (samples, PIXELS), &Device::Cpu)?,
        Tensor::from_vec(labels, samples, &Device::Cpu)?,
    ))
}

/// Mean loss and accuracy. The layers are detached, so that no values are saved for gradients.
fn evaluate(layers: &[Linear], x: &Tensor, y: &Tensor) -> candle_core::Result<(f32, f64)> {
    let detached: Vec<Linear> = layers
        .iter()
        .map(|layer| Linear::new(layer.weight().detach(), layer.bias().map(Tensor::detach)))
        .collect();
    let logits = forward(&detached, x)?;
    let loss = loss::cross_entropy(&logits, y)?.to_scalar()?;
    let correct = logits.argmax(D::Minus1)?.eq(y)?.to_dtype(DType::F32)?.sum_all()?.to_scalar::<f32>()?;
    Ok((loss, f64::from(correct) / y.elem_count() as f64))
}

fn main() -> mnist::Result<()> {
    let arguments = Arguments::parse()?;
    mnist::flush_denormals();
    // SAFETY: this is the process's only thread.
    unsafe { std::env::set_var("RAYON_NUM_THREADS", arguments.threads.to_string()) };
    let (x, y) = read(&arguments, "train")?;
    let (x_test, y_test) = read(&arguments, "t10k")?;
    let (x_validation, y_validation) = (x.narrow(0, TRAIN, 6_000)?, y.narrow(0, TRAIN, 6_000)?);
    let mut random = Random::new(arguments.seed);
    let (layers, weights) = network(&mut random)?;
    let parameters = ParamsAdamW { lr: 1e-3, eps: 1e-7, weight_decay: 0.0, ..ParamsAdamW::default() };
    let mut adam = AdamW::new(weights, parameters)?;

    let start = Instant::now();
    for epoch in 1..=EPOCHS {
        let order = random.order::<u32>();
        for rows in order.chunks(BATCH) {
            let rows = Tensor::new(rows, &Device::Cpu)?;
            let logits = forward(&layers, &x.index_select(&rows, 0)?)?;
            adam.backward_step(&loss::cross_entropy(&logits, &y.index_select(&rows, 0)?)?)?;
        }
        let (loss, accuracy) = evaluate(&layers, &x_validation, &y_validation)?;
        println!("Epoch {epoch} - val_accuracy: {accuracy:.4} - val_loss: {loss:.4}");
    }
    let fit_seconds = start.elapsed().as_secs_f64();
    let (_, accuracy) = evaluate(&layers, &x_test, &y_test)?;
    mnist::report(fit_seconds, accuracy, include_str!("../Cargo.lock"), &["candle-core", "candle-nn"]);
    Ok(())
}
