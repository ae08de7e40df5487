//! The division of a training into runs, by time and by number of threads, does not change the result.

use std::time::Duration;

use ndarray::Array2;
use ziffer_nn::random::{Purpose, Stream};
use ziffer_nn::thread_team::ThreadTeam;
use ziffer_nn::training::StepResult;
use ziffer_nn::{
    Activation, Adam, Model, Sequential, SparseCategoricalCrossentropy, StepBudget, Training, WithLabels,
};

const SAMPLES: usize = 90;
const BATCH: usize = 7;

fn run(next_run: impl Fn(usize) -> (usize, Option<Duration>)) -> (String, Vec<f64>) {
    let mut stream = Stream::new(2, Purpose::Other(0), 0);
    let x = Array2::from_shape_simple_fn((SAMPLES, 11), || stream.normal() as f32);
    let classes: Vec<usize> = (0..SAMPLES).map(|n| n % 3).collect();
    let samples = WithLabels::new(x.view(), &classes);
    let mut model: Model =
        Sequential::new([11]).dense(19, Activation::Relu).dense(3, Activation::Softmax).build(0).unwrap();
    let team = ThreadTeam::new(5).unwrap();
    let mut training = Training::new(&model, Adam::default(), BATCH).unwrap();
    let order: Vec<u32> = (0..SAMPLES as u32).collect();
    let mut losses = Vec::new();
    while losses.len() * BATCH < SAMPLES {
        let (threads, time) = next_run(losses.len());
        let rest = &order[losses.len() * BATCH..];
        let budget = StepBudget { team: &team, threads, time };
        let loss = SparseCategoricalCrossentropy::default();
        let results = training.run(&mut model, &loss, &samples, rest, budget).unwrap();
        if time == Some(Duration::ZERO) {
            assert_eq!(results.len(), 1, "a budget without time makes one step");
        }
        losses.extend(results.iter().map(StepResult::loss));
        assert_eq!(training.iteration(), losses.len() as u64);
    }
    (model.weights_sha256(), losses)
}

#[test]
fn the_division_into_runs_does_not_change_the_result() {
    let whole = run(|_| (1, None));
    assert_eq!(whole.1.len(), SAMPLES.div_ceil(BATCH));
    assert_eq!(run(|_| (1, Some(Duration::ZERO))), whole);
    assert_eq!(run(|_| (3, Some(Duration::ZERO))), whole);
    // Another number of threads in each run.
    assert_eq!(run(|step| (1 + step % 5, Some(Duration::ZERO))), whole);
    assert_eq!(run(|_| (5, Some(Duration::from_secs(3600)))), whole);
}
