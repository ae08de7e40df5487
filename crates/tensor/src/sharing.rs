//! A test of the kernels on memory that threads share, with threads of the standard library.
//!
//! A thread team uses rayon's threads. Under Miri's aliasing rules, the scopes of rayon and the lists of crossbeam are errors.
//! The threads of the standard library cause none, so that Miri can check this crate's references and raw pointers.

use std::sync::Barrier;

use ndarray::{Array1, Array2, ArrayView2, s};

use crate::random::{Purpose, Stream};
use crate::shared::Shared;
use crate::{Activation, pixels};

/// Each thread writes some columns of one product. After a barrier, it reads all of them and writes some rows of another product.
#[test]
fn products_by_several_threads() {
    let (batch, inputs, outputs, threads) = (5, 6, 40, 3);
    let mut stream = Stream::new(1, Purpose::Other(0), 0);
    let mut random = |shape| Array2::from_shape_simple_fn(shape, || stream.normal() as f32);
    let (kernel, old) = (random((inputs, outputs)), random((batch, outputs)));
    let bias = Array1::from_elem(outputs, 0.5);
    let x = Array2::from_shape_fn(
        (batch, inputs),
        |(b, i)| if (b + i) % 3 == 0 { 0 } else { (40 * b + i) as u8 },
    );

    let (mut y, mut c) = (old.into_raw_vec_and_offset().0, vec![0.0; inputs * outputs]);
    let (shared_y, shared_c) = (Shared::new(&mut y), Shared::new(&mut c));
    let barrier = Barrier::new(threads);
    let work = |index: usize| {
        let share = |n: usize| n * index / threads..n * (index + 1) / threads;
        let columns = share(outputs);
        // SAFETY: the threads' columns are disjoint, and no thread reads before the barrier.
        let part = unsafe { shared_y.matrix_mut(0..batch * outputs, outputs, 0..batch, columns.clone()) };
        let (kernel, bias) = (kernel.slice(s![.., columns.clone()]), bias.slice(s![columns]));
        pixels::affine(x.view(), kernel, bias, Activation::Relu, part);
        barrier.wait();
        // SAFETY: no thread writes `shared_y` after the barrier.
        let y = unsafe { shared_y.get(0..batch * outputs) };
        let rows = share(inputs);
        // SAFETY: the threads' rows are disjoint, and no thread reads `shared_c`.
        let part = unsafe { shared_c.get_mut(rows.start * outputs..rows.end * outputs) };
        let y = ArrayView2::from_shape((batch, outputs), y).expect("the whole matrix");
        let first = rows.start;
        pixels::matmul_tn(x.view(), y, rows, &mut |row, values| {
            part[(row - first) * outputs..][..values.len()].copy_from_slice(values);
        });
    };
    std::thread::scope(|scope| {
        for index in 0..threads {
            let work = &work;
            scope.spawn(move || work(index));
        }
    });

    let (mut y_alone, mut c_alone) = (Array2::zeros((batch, outputs)), vec![0.0; inputs * outputs]);
    pixels::affine(x.view(), kernel.view(), bias.view(), Activation::Relu, y_alone.view_mut());
    pixels::matmul_tn(x.view(), y_alone.view(), 0..inputs, &mut |row, values| {
        c_alone[row * outputs..][..values.len()].copy_from_slice(values);
    });
    assert_eq!(y_alone.as_slice().expect("C order"), y);
    assert_eq!(c_alone, c);
    assert!(c.iter().any(|&x| x != 0.0));
}
