//! Compares layers and the summary with results that `tests/keras/layers.py` recorded with Keras.

use std::sync::Mutex;

use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, s};
use serde_json::Value;
use ziffer_nn::thread_team::ThreadTeam;
use ziffer_nn::{
    Activation, ActivationLayer, BatchNormalization, Context, GradientSink, Initializer, Input, Layer,
    LayerError, Loss, Model, Sequential, Sgd, Target, Training, WeightSpec, Weights, WithTargets,
    layer_from_config,
};

/// The largest difference: absolute for numbers up to 1, relative for larger ones.
///
/// One rounding error is 6e-8. The longest sums have 24 terms, which Keras adds in another order, and the gradient with respect to
/// the input is a difference of such sums: at most about 24 rounding errors, most of which cancel.
const TOLERANCE: f32 = 2e-6;

/// Returns its weight, one row per sample. The gradient of the weight is that of the next layer with respect to its input.
#[derive(Debug)]
struct Probe {
    samples: usize,
    inputs: usize,
}

impl Layer<f32> for Probe {
    fn class_name(&self) -> &'static str {
        "Probe"
    }
    fn build(&mut self, input_shape: &[usize]) -> Result<Vec<usize>, LayerError> {
        self.inputs = input_shape.iter().product();
        Ok(input_shape.to_vec())
    }
    fn weights(&self) -> Vec<WeightSpec> {
        vec![WeightSpec::new("x", [self.samples, self.inputs], Initializer::Zeros)]
    }
    fn forward(
        &self,
        context: &mut Context<'_, f32>,
        weights: Weights<'_, f32>,
        _: Input<'_, f32>,
        mut y: ArrayViewMut2<'_, f32>,
    ) {
        let rows = context.first_row()..context.first_row() + y.nrows();
        y.assign(&weights.matrix(0, self.samples).slice(s![rows, ..]));
    }
    fn backward(
        &self,
        _: &mut Context<'_, f32>,
        _: Weights<'_, f32>,
        _: Input<'_, f32>,
        _: ArrayView2<'_, f32>,
        _: ArrayViewMut2<'_, f32>,
        _: Option<ArrayViewMut2<'_, f32>>,
    ) {
    }
    fn gradient(
        &self,
        _: Input<'_, f32>,
        d: ArrayView2<'_, f32>,
        _: &[f32],
        sink: &mut GradientSink<'_, f32>,
    ) {
        let owned = sink.range(0);
        sink.push(0, &d.to_slice().unwrap()[owned]);
    }
}

/// The sum of c * y over a sample's outputs, where c is the target. Its gradient with respect to y is c. It records the outputs by c.
#[derive(Debug, Default)]
struct WeightedSum {
    outputs: Mutex<Vec<(Vec<f32>, Vec<f32>)>>,
}

impl Loss<f32> for WeightedSum {
    fn name(&self) -> &'static str {
        "weighted_sum"
    }
    fn value(&self, output: &[f32], target: Target<'_, f32>) -> f32 {
        self.backward(output, target, 1.0, &mut vec![0.0; output.len()])
    }
    fn backward(&self, output: &[f32], target: Target<'_, f32>, scale: f32, d: &mut [f32]) -> f32 {
        let Target::Values(c) = target else { panic!("a class") };
        self.outputs.lock().unwrap().push((c.to_vec(), output.to_vec()));
        d.iter_mut().zip(c).for_each(|(d, c)| *d = scale * c);
        output.iter().zip(c).map(|(y, c)| y * c).sum()
    }
}

fn record() -> Value {
    serde_json::from_str(include_str!("../keras/layers.json")).unwrap()
}

/// A list of numbers, each rounded to the nearest.
fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32).collect()
}

#[track_caller]
fn close<'a>(ours: impl IntoIterator<Item = &'a f32>, keras: &Value, of: &str) {
    let (ours, keras): (Vec<f32>, _) = (ours.into_iter().copied().collect(), numbers(keras));
    assert_eq!(ours.len(), keras.len(), "{of}");
    for (place, (ours, keras)) in ours.iter().zip(&keras).enumerate() {
        let apart = (ours - keras).abs() / keras.abs().max(1.0);
        assert!(apart <= TOLERANCE, "{of}[{place}]: {ours}, Keras says {keras}, {apart:e} apart");
    }
}

const PARTS: [&str; 4] = ["gamma", "beta", "moving_mean", "moving_variance"];

/// A probe and the case's layer, with the case's weights.
fn model(case: &Value, samples: usize, sample_shape: &[usize]) -> Model {
    let layer = BatchNormalization::new()
        .momentum(case["momentum"].as_f64().unwrap())
        .epsilon(case["epsilon"].as_f64().unwrap())
        .center(case["center"].as_bool().unwrap())
        .scale(case["scale"].as_bool().unwrap());
    let stack = Sequential::new(sample_shape).add(Probe { samples, inputs: 0 }).add(layer);
    let mut model = stack.build(0).unwrap();
    let x = Array2::from_shape_vec((samples, model.inputs()), numbers(&case["x"])).unwrap();
    model.set_weight("probe.x", x.view()).unwrap();
    for part in PARTS {
        let name = format!("batch_normalization.{part}");
        assert_eq!(case[part].is_null(), model.weight(&name).is_none(), "{name}");
        if !case[part].is_null() {
            model.set_weight(&name, ndarray::Array1::from(numbers(&case[part])).view()).unwrap();
        }
    }
    model
}

/// A frozen layer has no gradients with respect to gamma and beta. Those that Keras records at inference are not compared.
#[test]
fn batch_normalization_matches_keras() {
    let record = record();
    let cases = record["batch_normalization"].as_array().unwrap();
    assert_eq!(cases.len(), 9);
    for case in cases {
        let shape: Vec<usize> =
            case["shape"].as_array().unwrap().iter().map(|size| size.as_u64().unwrap() as usize).collect();
        let (samples, sample_shape) = (shape[0], &shape[1..]);
        let is_trainable = case["trainable"].as_bool().unwrap();
        for (mode, frozen) in [("training", !is_trainable), ("inference", true)] {
            for threads in [1, 3] {
                let of = |part: &str| format!("{} {mode} {part}, {threads} threads", case["name"]);
                let mut model = model(case, samples, sample_shape);
                model.set_trainable("batch_normalization", !frozen).unwrap();
                let before: Vec<_> = model.weights().map(|(_, weight)| weight.to_owned()).collect();
                let inputs = model.inputs();
                let c = Array2::from_shape_vec((samples, inputs), numbers(&case["c"])).unwrap();
                let nothing = Array2::<f32>::zeros((samples, inputs));
                let rows = WithTargets::new(nothing.view(), c.view());
                let loss = WeightedSum::default();
                let mut training = Training::new(&model, Sgd::default(), samples).unwrap();
                let order: Vec<u32> = (0..samples as u32).collect();
                let team = ThreadTeam::new(threads).unwrap();
                let mut gradients =
                    training.gradients(&mut model, &loss, &rows, &order, (&team).into()).unwrap();
                // The gradient of the sum instead of the mean. It is exact, since the numbers of samples are powers of two.
                assert!(samples.is_power_of_two());
                gradients.scale(samples as f64);

                let outputs = loss.outputs.into_inner().unwrap();
                let y: Vec<f32> = c
                    .axis_iter(Axis(0))
                    .flat_map(|c| {
                        outputs.iter().find(|(of, _)| of[..] == *c.to_slice().unwrap()).unwrap().1.clone()
                    })
                    .collect();
                let expected = &case[mode];
                close(&y, &expected["y"], &of("y"));
                close(gradients.get("probe.x").unwrap(), &expected["d_x"], &of("d_x"));
                for part in ["gamma", "beta"] {
                    let gradient = gradients.get(&format!("batch_normalization.{part}"));
                    let is_expected = !frozen && !case[part].is_null();
                    assert_eq!(gradient.is_some(), is_expected, "{}", of(part));
                    if let Some(gradient) = gradient {
                        close(gradient, &expected[format!("d_{part}")], &of(part));
                    }
                }
                if frozen {
                    let after: Vec<_> = model.weights().map(|(_, weight)| weight.to_owned()).collect();
                    assert_eq!(after, before, "{}", of("weights"));
                }
                if mode == "training" {
                    for part in ["moving_mean", "moving_variance"] {
                        let moving = model.weight(&format!("batch_normalization.{part}")).unwrap();
                        close(moving, &expected[part], &of(part));
                    }
                }
            }
        }
    }
}

/// Compares a layer with a case, on one thread and on three: the outputs, and the gradients with respect to input and weights.
fn check_layer(case: &Value, of: &str, layer: impl Fn() -> Box<dyn Layer<f32>>) {
    const WEIGHTS: [&str; 3] = ["alpha", "gamma", "beta"];
    let shape: Vec<usize> =
        case["shape"].as_array().unwrap().iter().map(|size| size.as_u64().unwrap() as usize).collect();
    let samples = shape[0];
    for threads in [1, 3] {
        let stack = Sequential::new(&shape[1..]).add(Probe { samples, inputs: 0 }).add_boxed(layer());
        let mut model = stack.build(0).unwrap();
        let name = model.layers().last().unwrap().name.to_owned();
        let (inputs, outputs) = (model.inputs(), model.outputs());
        let x = Array2::from_shape_vec((samples, inputs), numbers(&case["x"])).unwrap();
        model.set_weight("probe.x", x.view()).unwrap();
        for part in WEIGHTS {
            let weight = format!("{name}.{part}");
            assert_eq!(case[part].is_null(), model.weight(&weight).is_none(), "{weight}");
            if let Some(shape) = model.weight(&weight).map(|weight| weight.shape().to_vec()) {
                let values = ndarray::Array::from_shape_vec(shape, numbers(&case[part])).unwrap();
                model.set_weight(&weight, values.view()).unwrap();
            }
        }
        let c = Array2::from_shape_vec((samples, outputs), numbers(&case["c"])).unwrap();
        let nothing = Array2::<f32>::zeros((samples, inputs));
        let rows = WithTargets::new(nothing.view(), c.view());
        let loss = WeightedSum::default();
        let order: Vec<u32> = (0..samples as u32).collect();
        let team = ThreadTeam::new(threads).unwrap();
        let mut training = Training::new(&model, Sgd::default(), samples).unwrap();
        let mut gradients = training.gradients(&mut model, &loss, &rows, &order, (&team).into()).unwrap();
        assert!(samples.is_power_of_two());
        gradients.scale(samples as f64);
        let seen = loss.outputs.into_inner().unwrap();
        let row = |c: &[f32]| seen.iter().find(|(of, _)| of[..] == *c).unwrap().1.clone();
        let y: Vec<f32> = c.axis_iter(Axis(0)).flat_map(|c| row(c.to_slice().unwrap())).collect();
        let of = |part: &str| format!("{of} {part}, {threads} threads");
        close(&y, &case["y"], &of("y"));
        close(gradients.get("probe.x").unwrap(), &case["d_x"], &of("d_x"));
        for part in WEIGHTS.into_iter().filter(|part| !case[*part].is_null()) {
            let gradient = gradients.get(&format!("{name}.{part}")).unwrap();
            close(gradient, &case[format!("d_{part}")], &of(part));
        }
    }
}

#[test]
fn activations_match_keras() {
    let record = record();
    let cases = record["activations"].as_array().unwrap();
    assert_eq!(cases.len(), Activation::ALL.len());
    for case in cases {
        let name = case["name"].as_str().unwrap();
        check_layer(case, name, || Box::new(ActivationLayer::new(name.parse().unwrap())));
    }
}

#[test]
fn layers_with_keras_s_settings_match_keras() {
    let record = record();
    let cases = record["layers"].as_array().unwrap();
    assert_eq!(cases.len(), 21);
    for case in cases {
        let (class, config) = (case["class"].as_str().unwrap(), case["config"].as_object().unwrap());
        let of = format!("{class} {}", case["config"]);
        check_layer(case, &of, || {
            layer_from_config(class, &ziffer_nn::Config::new(config)).unwrap().unwrap()
        });
    }
}

#[test]
fn rescaling_matches_keras_to_the_bit() {
    let record = record();
    let cases = record["rescaling"].as_array().unwrap();
    assert_eq!(cases.len(), 2);
    for case in cases {
        let (x, y) = (numbers(&case["x"]), numbers(&case["y"]));
        let stack =
            Sequential::new([1]).rescaling(case["scale"].as_f64().unwrap(), case["offset"].as_f64().unwrap());
        let model = stack.build(0).unwrap();
        let column = Array2::from_shape_vec((x.len(), 1), x.clone()).unwrap();
        assert_eq!(model.predict(column.view()).into_raw_vec_and_offset().0, y, "{}", case["name"]);
        if case["name"] == "pixels" {
            let bytes = column.mapv(|x| x as u8);
            assert_eq!(model.predict(bytes.view()).into_raw_vec_and_offset().0, y, "bytes");
        }
    }
}

/// The cells of a table's rows, and the lines below the table. A name on two lines is joined.
fn table(text: &str) -> (Vec<[String; 3]>, Vec<String>) {
    let mut rows: Vec<[String; 3]> = Vec::new();
    for line in text.lines().filter(|line| line.starts_with('│')) {
        let cells: Vec<&str> = line.trim_matches('│').split('│').map(str::trim).collect();
        let [name, shape, parameters] = cells[..] else { panic!("{line}") };
        if shape.is_empty() && parameters.is_empty() {
            let above = rows.last_mut().unwrap();
            above[0] = format!("{} {name}", above[0]);
        } else {
            rows.push([name.to_owned(), shape.to_owned(), parameters.to_owned()]);
        }
    }
    (rows, text.lines().filter(|line| line.contains("params:")).map(str::to_owned).collect())
}

#[test]
fn the_summary_matches_keras() {
    let mut model = Sequential::new([28, 28])
        .rescaling(1.0 / 127.5, -1.0)
        .flatten()
        .dense(128, Activation::Relu)
        .batch_normalization()
        .dropout(0.2)
        .dense(10, Activation::Softmax)
        .build(0)
        .unwrap();
    for (frozen, keras) in
        [(false, include_str!("../keras/summary.txt")), (true, include_str!("../keras/summary_frozen.txt"))]
    {
        model.set_trainable("dense", !frozen).unwrap();
        let (rows, totals) = table(keras);
        assert_eq!((rows.len(), totals.len()), (6, 3));
        assert_eq!(table(&model.summary()), (rows, totals), "frozen: {frozen}");
    }
}
