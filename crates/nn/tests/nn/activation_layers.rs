//! Activations and similar layers: files, names, rejected settings, and equal layers.

use crate::common::{classes, numbers};
use serde_json::{Value, json};
use ziffer_nn::thread_team::ThreadTeam;
use ziffer_nn::{
    Activation, Adam, Elu, GaussianNoise, LayerNormalization, LeakyRelu, Model, Relu, Reshape, Sequential,
    Softmax, SparseCategoricalCrossentropy, Training, WithLabels, layer_from_config,
};

/// Each layer once, with settings other than the defaults.
fn all() -> Sequential {
    Sequential::new([12])
        .add(GaussianNoise::new(0.25))
        .dense(12, Activation::Linear)
        .batch_normalization()
        .activation(Activation::Silu)
        .add(Reshape::new([3, -1]))
        .add(LayerNormalization::new().epsilon(0.01).center(false).axis(2))
        .add(LeakyRelu::new(0.2))
        .p_relu()
        .add(Relu::new().max_value(6.0).negative_slope(0.1).threshold(0.5))
        .add(Elu::new(0.5))
        .flatten()
        .dense(4, Activation::Mish)
        .add(Softmax::new().axis(1))
}

#[test]
fn models_are_loaded_from_their_files() {
    let mut model = all().build(1).unwrap();
    let slopes = ndarray::Array2::from_shape_fn((3, 4), |(row, column)| (row + column) as f32);
    model.set_weight("p_re_lu.alpha", slopes.view()).unwrap();
    let bytes = model.to_safetensors();
    let loaded = Model::from_safetensors(&bytes).unwrap();
    assert_eq!(loaded.to_safetensors(), bytes);
    assert_eq!(loaded.summary(), model.summary());
    let x = numbers(9, 12, 1);
    assert_eq!(loaded.predict(x.view()), model.predict(x.view()));
}

#[test]
fn names_and_shapes_match_keras() {
    let model = all().build(1).unwrap();
    let layers: Vec<(&str, &[usize], usize)> =
        model.layers().map(|layer| (layer.name, layer.output_shape, layer.parameters)).collect();
    let expected: [(&str, &[usize], usize); 13] = [
        ("gaussian_noise", &[12], 0),
        ("dense", &[12], 156),
        ("batch_normalization", &[12], 48),
        ("activation", &[12], 0),
        ("reshape", &[3, 4], 0),
        ("layer_normalization", &[3, 4], 4),
        ("leaky_re_lu", &[3, 4], 0),
        ("p_re_lu", &[3, 4], 12),
        ("re_lu", &[3, 4], 0),
        ("elu", &[3, 4], 0),
        ("flatten", &[12], 0),
        ("dense_1", &[4], 52),
        ("softmax", &[4], 0),
    ];
    assert_eq!(layers, expected);
    assert!(model.summary().contains("leaky_re_lu (LeakyReLU)"));
}

/// The random numbers of a weight depend on its index only, so that both networks are equal.
#[test]
fn an_activation_layer_equals_the_activation_of_a_layer() {
    let x = numbers(40, 6, 2);
    let classes = classes(40, 3);
    let samples = WithLabels::new(x.view(), &classes);
    let order: Vec<u32> = (0..40).collect();
    let team = ThreadTeam::new(2).unwrap();
    let train = |stack: Sequential| {
        let mut model = stack.build(5).unwrap();
        let loss = SparseCategoricalCrossentropy::default();
        let mut training = Training::new(&model, Adam::default(), 16).unwrap();
        let results = training.run(&mut model, &loss, &samples, &order, (&team).into()).unwrap();
        (model.weights_sha256(), results[2].loss(), model.evaluate_with(&loss, &samples).unwrap().loss)
    };
    for activation in Activation::ALL {
        let within = Sequential::new([6]).dense(9, activation).dense(3, Activation::Softmax);
        let behind = || Sequential::new([6]).dense(9, Activation::Linear).activation(activation);
        let expected = train(within);
        let logits = || behind().dense(3, Activation::Linear);
        assert_eq!(train(logits().activation(Activation::Softmax)), expected, "{activation}");
        assert_eq!(train(logits().softmax()), expected, "{activation}");
    }
}

#[test]
fn noise_has_its_deviation_and_depends_on_the_step() {
    use ziffer_nn::layer::{Input, Weights};
    use ziffer_nn::{Context, Layer, Mode};
    let x = ndarray::Array2::<f32>::from_elem((50, 400), 3.0);
    let of = |seed: u64, mode: Mode| {
        let mut y = x.clone();
        let mut context = Context::new(mode, seed, &mut [], &mut []);
        let noise = GaussianNoise::new(0.5);
        noise.forward(&mut context, Weights::new(&[], &[]), Input::Real(x.view()), y.view_mut());
        y.mapv(|y| f64::from(y) - 3.0)
    };
    let noise = of(1, Mode::Training);
    let (count, mean) = (noise.len() as f64, noise.sum() / noise.len() as f64);
    let deviation = (noise.mapv(|n| n * n).sum() / count).sqrt();
    // Four standard errors: 0.5 / sqrt(20000) of the mean, and that over sqrt 2 of the deviation.
    assert!(mean.abs() < 0.0142, "{mean}");
    assert!((deviation - 0.5).abs() < 0.01, "{deviation}");
    assert_eq!(of(1, Mode::Training), noise);
    assert_ne!(of(2, Mode::Training), noise);
    assert_ne!(noise.row(0), noise.row(1));
    assert!(of(1, Mode::Inference).iter().all(|&n| n == 0.0));
}

#[test]
fn settings_out_of_range_are_named() {
    let problem = |class: &str, config: Value| {
        let made = layer_from_config(class, &ziffer_nn::Config::new(config.as_object().unwrap()));
        match made {
            Err(problem) => problem.to_string(),
            Ok(layer) => layer.unwrap().build(&[3, 4]).unwrap_err().to_string(),
        }
    };
    for (class, config, expected) in [
        ("Activation", json!({}), "no activation, expected the name of an activation"),
        (
            "LeakyReLU",
            json!({"negative_slope": -0.5}),
            "negative_slope is -0.5, expected a finite number of at least 0",
        ),
        ("ReLU", json!({"max_value": -1.0}), "max_value is -1, expected a finite number of at least 0"),
        ("ReLU", json!({"threshold": -1.0}), "threshold is -1, expected a finite number of at least 0"),
        ("ReLU", json!({"max_value": "much"}), "max_value is \"much\", expected a number"),
        ("ELU", json!({"alpha": true}), "alpha is true, expected a number"),
        ("Softmax", json!({"axis": 1}), "axis is 1, expected -1, the last one"),
        ("Softmax", json!({"axis": [1, 2]}), "axis is [1,2], expected one axis"),
        ("PReLU", json!({"shared_axes": [1]}), "shared_axes is [1], expected none"),
        ("Reshape", json!({}), "no target_shape, expected a list of whole numbers"),
        (
            "Reshape",
            json!({"target_shape": [-1, -1]}),
            "target_shape is [-1, -1], expected sizes of at least 1 and at most one -1",
        ),
        ("Reshape", json!({"target_shape": [5, -1]}), "target_shape is [5, -1], which does not fit [3, 4]"),
        ("Reshape", json!({"target_shape": [3, 3]}), "target_shape is [3, 3], which does not fit [3, 4]"),
        ("Reshape", json!({"target_shape": [i64::MAX, i64::MAX]}), "which does not fit [3, 4]"),
        ("GaussianNoise", json!({"stddev": 1.5}), "stddev is 1.5, expected a number from 0 to 1"),
        ("GaussianNoise", json!({}), "no stddev, expected a number"),
        ("LayerNormalization", json!({"axis": [1]}), "axis is 1, expected -1, the last one"),
        ("LayerNormalization", json!({"epsilon": 0}), "epsilon is 0, expected a positive number"),
        ("LayerNormalization", json!({"rms_scaling": true}), "rms_scaling is true, expected false"),
    ] {
        let found = problem(class, config);
        assert!(found.ends_with(expected), "{class}: {found}");
    }
    // Keras's names and defaults.
    let settings = |class: &str| {
        layer_from_config(class, &ziffer_nn::Config::new(&serde_json::Map::new())).unwrap().unwrap().config()
    };
    assert_eq!(settings("LeakyReLU")["negative_slope"], 0.3);
    assert_eq!(
        settings("ReLU"),
        *json!({"max_value": null, "negative_slope": 0.0, "threshold": 0.0}).as_object().unwrap()
    );
    assert_eq!(settings("ELU")["alpha"], 1.0);
    assert_eq!(settings("Softmax")["axis"], -1);
}

/// A softmax over the last axis of several has no logits, since a loss takes flat outputs.
#[test]
fn a_softmax_is_over_the_last_axis() {
    let model = Sequential::new([2, 3]).softmax().build(0).unwrap();
    let y = model.predict(ndarray::arr2(&[[0.0_f32, 0.0, 0.0, 5.0, 5.0, 5.0]]).view());
    assert!(y.iter().all(|y| (y - 1.0 / 3.0).abs() < 1e-7), "{y}");
    let x = numbers(2, 6, 1);
    let samples = WithLabels::new(x.view(), &[0, 1]);
    assert!(model.evaluate_with(&SparseCategoricalCrossentropy::default(), &samples).is_err());
}
