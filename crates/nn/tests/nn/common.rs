//! Samples and a time-out for the tests.
#![allow(dead_code, reason = "not every test program uses all of it")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ndarray::Array2;
use ziffer_nn::random::{Purpose, Stream};

/// Longer than any case takes on a busy machine.
const TIME_OUT: Duration = Duration::from_secs(120);

/// Runs `work` on another thread. Returns its result or its panic message. Fails if it hangs.
pub(crate) fn watched<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> Result<R, String> {
    let (send, receive) = mpsc::channel();
    let worker = thread::Builder::new().name("watched".to_owned());
    worker
        .spawn(move || {
            let outcome = catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
                let text = payload.downcast_ref::<String>().cloned();
                text.or_else(|| payload.downcast_ref::<&str>().map(|&text| text.to_owned()))
                    .unwrap_or_else(|| "no text".to_owned())
            });
            let _ = send.send(outcome);
        })
        .unwrap();
    receive.recv_timeout(TIME_OUT).expect("the case should end before the time-out")
}

/// Pixels, a third of them nonzero.
pub(crate) fn pixels(samples: usize, features: usize, seed: u64) -> Array2<u8> {
    let mut stream = Stream::new(seed, Purpose::Other(0), 0);
    Array2::from_shape_simple_fn((samples, features), || {
        if stream.below(3) == 0 { stream.below(256) as u8 } else { 0 }
    })
}

/// Normal numbers.
pub(crate) fn numbers(samples: usize, features: usize, seed: u64) -> Array2<f32> {
    let mut stream = Stream::new(seed, Purpose::Other(0), 1);
    Array2::from_shape_simple_fn((samples, features), || stream.normal() as f32)
}

/// A class per sample, in rotation.
pub(crate) fn classes(samples: usize, count: usize) -> Vec<usize> {
    (0..samples).map(|sample| sample % count).collect()
}
