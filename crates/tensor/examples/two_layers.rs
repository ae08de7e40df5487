//! Trains a network of two layers with the operations of this crate only.
//!
//! `cargo run --release -p ziffer-tensor --example two_layers`
#![allow(clippy::print_stdout, reason = "an example prints its results")]

use ndarray::{Array1, Array2};
use ziffer_tensor::random::{Purpose, Stream};
use ziffer_tensor::{Activation, InstructionSet, matmul, reduce, softmax, update};

fn main() {
    println!("kernels for {}", InstructionSet::current().name());
    // B = 64 samples of I = 20 numbers. The class is the one of 4 groups of 5 numbers whose sum is the largest.
    let (batch, inputs, hidden, classes) = (64, 20, 32, 4);
    let mut stream = Stream::new(1, Purpose::Other(0), 0);
    let mut normal = |rows, columns, scale: f64| {
        Array2::from_shape_simple_fn((rows, columns), || (scale * stream.normal()) as f32)
    };
    let x = normal(batch, inputs, 1.0);
    let sums = |row: ndarray::ArrayView1<'_, f32>| {
        row.exact_chunks(5).into_iter().map(|c| c.sum()).collect::<Vec<_>>()
    };
    let labels: Vec<usize> = x.rows().into_iter().map(|row| reduce::argmax(&sums(row))).collect();

    let (mut w1, mut b1) = (normal(inputs, hidden, 0.3), Array1::zeros(hidden));
    let (mut w2, mut b2) = (normal(hidden, classes, 0.3), Array1::zeros(classes));
    let (mut y1, mut y2) = (Array2::zeros((batch, hidden)), Array2::zeros((batch, classes)));
    let mut d_y1 = Array2::zeros((batch, hidden));
    let (mut d_w1, mut d_w2) = (Array2::zeros(w1.dim()), Array2::zeros(w2.dim()));

    for step in 0..=200 {
        // Forward: y1 = relu(x W1 + b1), y2 = y1 W2 + b2.
        matmul::affine(x.view(), w1.view(), Some(b1.view()), Activation::Relu, y1.view_mut());
        matmul::affine(y1.view(), w2.view(), Some(b2.view()), Activation::Linear, y2.view_mut());
        // Loss: replaces y2 by the gradient with respect to the logits.
        let mut loss = 0.0;
        for (mut row, &label) in y2.rows_mut().into_iter().zip(&labels) {
            let logits = row.as_slice_mut().expect("rows in C order");
            loss += softmax::cross_entropy(logits, label, 1.0 / batch as f32) / batch as f32;
        }
        // Backward.
        matmul::matmul_nt(y2.view(), w2.view(), d_y1.view_mut());
        let (y, d) = (y1.as_slice().expect("C order"), d_y1.as_slice_mut().expect("C order"));
        Activation::Relu.backward(y, d, hidden);
        matmul::matmul_tn(y1.view(), y2.view(), d_w2.view_mut());
        matmul::matmul_tn(x.view(), d_y1.view(), d_w1.view_mut());
        // Update.
        for (w, g) in [(&mut w1, &d_w1), (&mut w2, &d_w2)] {
            update::sgd(w.as_slice_mut().expect("C order"), g.as_slice().expect("C order"), 0.5, 0.0);
        }
        for (b, g) in [(&mut b1, reduce::sum_rows(d_y1.view())), (&mut b2, reduce::sum_rows(y2.view()))] {
            update::sgd(b.as_slice_mut().expect("C order"), g.as_slice().expect("C order"), 0.5, 0.0);
        }
        if step % 50 == 0 {
            println!("step {step:3}: loss {loss:.4}");
        }
    }
}
