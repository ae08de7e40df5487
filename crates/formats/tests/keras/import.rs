//! Imported models, compared with the probabilities that Keras predicts.

use std::path::Path;

use ndarray::Array2;
use serde_json::{Value, json};
use ziffer_dataset::{Dataset, Mirror, Mnist, Source};
use ziffer_formats::keras::{Assumption, Imported, Options, import};
use ziffer_nn::{Activation, BatchNormalization, LayerNormalization, Model, Relu, Sequential};

use crate::support::{self, changed, layer, layers};

/// The first images of the test set, all pixels or every fourth of every fourth row.
fn images(count: usize, step: usize) -> Array2<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let source = Source::default()
        .data_dir(Path::new(env!("CARGO_TARGET_TMPDIR")).join("mnist"))
        .mirror(Mirror::Folder(root.join("data/mnist")));
    let test: Dataset = Mnist::open(&source).expect("the repository's copy of MNIST").test;
    let view = test.view();
    let pixels_of = |row| {
        let image: Vec<u8> = view.image(row).to_vec();
        let offsets = (0..28).step_by(step).flat_map(|y| (0..28).step_by(step).map(move |x| 28 * y + x));
        offsets.map(|offset| image[offset]).collect::<Vec<_>>()
    };
    let rows: Vec<u8> = (0..count).flat_map(pixels_of).collect();
    Array2::from_shape_vec((count, rows.len() / count), rows).unwrap()
}

/// The largest difference between a model's probabilities and Keras's.
const TOLERANCE: f64 = 1e-6;
/// The same for a network with batch normalization in single precision, which multiplies rounding errors: pixels that hardly
/// vary are scaled by up to 30.
const SINGLE_TOLERANCE: f64 = 3e-6;

/// The same for the network of many layers, whose reference probabilities are computed in double precision: twice the
/// difference of Keras's own results in single precision.
const BLOCK_SINGLE_TOLERANCE: f64 = 6.4e-6;

/// Compares a file's model with `NAME.f32`.
#[track_caller]
fn check(file: &str, probabilities: &str, assumptions: &[Assumption]) -> Imported {
    let imported = import(&support::fixture(file), &Options::default()).unwrap();
    assert_eq!(imported.assumptions, assumptions, "{file}");
    let model = &imported.model;
    let (count, step) = if model.inputs() == 784 { (1000, 1) } else { (100, 4) };
    assert_near(file, &model.predict(images(count, step).view()), probabilities, TOLERANCE);
    imported
}

/// Compares probabilities with `NAME.f32`.
#[track_caller]
fn assert_near<T: Into<f64> + Copy>(file: &str, ours: &Array2<T>, probabilities: &str, limit: f64) {
    let theirs = support::fixture(&format!("{probabilities}.f32"));
    let theirs: Vec<f32> = theirs.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    assert_eq!(theirs.len(), ours.len(), "{file}");
    let apart = ours.iter().zip(&theirs).map(|(&a, &b)| (a.into() - f64::from(b)).abs()).fold(0.0, f64::max);
    assert!(apart <= limit, "{file}: {apart} apart");
}

/// Compares a file's model with batch normalization with `NAME.f32`: in double precision within [`TOLERANCE`], which is the
/// error of the import alone, and in single precision within `in_single`.
#[track_caller]
fn check_normalized(
    file: &str,
    probabilities: &str,
    assumptions: &[Assumption],
    twin: Sequential<f64>,
    in_single: f64,
) -> Model {
    let Imported { model, assumptions: found } =
        import(&support::fixture(file), &Options::default()).unwrap();
    assert_eq!(found, assumptions, "{file}");
    let mut double = twin.build_zeroed().unwrap();
    double.set_takes_pixels(true);
    let classes: Vec<_> = model.layers().map(|layer| layer.class_name).collect();
    assert_eq!(classes, double.layers().map(|layer| layer.class_name).collect::<Vec<_>>(), "{file}");
    for (name, weight) in model.weights() {
        double.set_weight(&name, weight.mapv(f64::from).view()).unwrap();
    }
    let images = images(1000, 1);
    assert_near(file, &double.predict(images.view()), probabilities, TOLERANCE);
    assert_near(file, &model.predict(images.view()), probabilities, in_single);
    model
}

const SCALE: &[Assumption] = &[Assumption::Scale];
const ALL: &[Assumption] = &[Assumption::Architecture];

#[test]
fn each_format_has_the_same_network() {
    let archive = check("digits.keras", "digits", SCALE).model;
    for other in [check("digits.weights.h5", "digits", ALL), check("digits.h5", "digits", SCALE)] {
        assert_eq!(archive.to_safetensors(), other.model.to_safetensors());
    }
    assert_eq!((archive.input_shape(), archive.parameters()), (&[28, 28][..], 784 * 8 + 8 + 8 * 10 + 10));
}

#[test]
fn activation_layers_become_activations_of_dense() {
    let model = check("layers.keras", "layers", &[]).model;
    let classes: Vec<_> = model.layers().map(|layer| layer.class_name).collect();
    assert_eq!(classes, ["Rescaling", "Flatten", "Dropout", "Dense", "Dense", "Dense"]);
    assert!(model.weight("dense.bias").is_none(), "use_bias is false");
}

#[test]
fn files_of_keras_2() {
    let whole = check("small-2.h5", "small-2", SCALE).model;
    let weights = check("small-2-weights.h5", "small-2", ALL).model;
    // The file of weights alone says nothing of the Dropout.
    assert_eq!(whole.weights_sha256(), weights.weights_sha256());
    check("small-2-functional.h5", "small-2-functional", &[]);
}

#[test]
fn double_precision_and_the_newest_hdf5_format() {
    check("small-3-double.keras", "small-3-double", SCALE);
    check("small-3-newest.weights.h5", "small-3-newest", ALL);
}

#[test]
fn batch_normalization_dropout_and_rescaling() {
    let twin = || {
        Sequential::<f64>::with_input_shape([28, 28])
            .rescaling(1.0 / 127.5, -1.0)
            .flatten()
            .dense(16, Activation::Relu)
            .add(BatchNormalization::new().momentum(0.9).epsilon(1e-2))
            .dropout(0.3)
            .dense(10, Activation::Softmax)
    };
    let model = check_normalized("norm.keras", "norm", &[], twin(), SINGLE_TOLERANCE);
    let other = check_normalized("norm.h5", "norm", &[], twin(), SINGLE_TOLERANCE);
    assert_eq!(model.to_safetensors(), other.to_safetensors());
    assert_eq!((model.parameters(), model.non_trainable_parameters()), (784 * 16 + 16 + 64 + 170, 32));
    // Its settings are the file's, so that training goes on as Keras's would.
    let description = String::from_utf8_lossy(&model.to_safetensors()).into_owned();
    for setting in [r#"\"momentum\":0.9"#, r#"\"epsilon\":0.01"#, r#"\"rate\":0.3"#] {
        assert!(description.contains(setting), "{setting}");
    }
}

#[test]
fn activations_and_other_layers() {
    let twin = || {
        Sequential::<f64>::with_input_shape([28, 28])
            .rescaling(1.0 / 127.5, -1.0)
            .reshape([-1])
            .gaussian_noise(0.1)
            .dense(12, Activation::Linear)
            .batch_normalization()
            .activation(Activation::Gelu)
            .p_relu()
            .dense(12, Activation::Silu)
            .leaky_relu(0.2)
            .dense(12, Activation::Softsign)
            .add(LayerNormalization::new().epsilon(1e-2))
            .add(Relu::new().max_value(4.0).negative_slope(0.25))
            .elu(0.5)
            .dense(10, Activation::Softmax)
    };
    let model = check_normalized("block.keras", "block", &[], twin(), BLOCK_SINGLE_TOLERANCE);
    let other = check_normalized("block.h5", "block", &[], twin(), BLOCK_SINGLE_TOLERANCE);
    assert_eq!(model.weights_sha256(), other.weights_sha256());
    let slopes = model.weight("p_re_lu.alpha").unwrap();
    assert!(slopes.iter().all(|&slope| slope != 0.0), "learned: {slopes}");
}

#[test]
fn activations_merge_only_into_a_dense_right_before_them() {
    let classes = |change: &dyn Fn(&mut Vec<Value>)| {
        let bytes = changed("layers.keras", |config| change(layers(config)));
        let model = import(&bytes, &Options::default()).unwrap().model;
        let classes: Vec<_> = model.layers().map(|layer| layer.class_name.to_owned()).collect();
        classes.join(" ")
    };
    // Its layers: pixels, rescaling, flatten, dropout, wide, re_lu, dense, narrow, softmax.
    let found = classes(&|layers| layers[5]["config"]["max_value"] = json!(6));
    assert_eq!(found, "Rescaling Flatten Dropout Dense ReLU Dense Dense");
    let found = classes(&|layers| layers[4]["config"]["activation"] = json!("tanh"));
    assert_eq!(found, "Rescaling Flatten Dropout Dense ReLU Dense Dense");
    let found = classes(&|layers| {
        layers[5]["class_name"] = json!("LeakyReLU");
        // As before Keras 3.
        layers[5]["config"] = json!({ "name": "re_lu", "alpha": 0.25 });
    });
    assert_eq!(found, "Rescaling Flatten Dropout Dense LeakyReLU Dense Dense");
    let bytes = changed("norm.keras", |config| {
        layers(config)[3]["config"]["activation"] = json!("linear");
        layers(config).insert(5, layer("Activation", json!({ "name": "late", "activation": "swish" })));
    });
    let model = import(&bytes, &Options::default()).unwrap().model;
    let names: Vec<_> = model.layers().map(|layer| layer.class_name).collect();
    assert_eq!(
        names,
        ["Rescaling", "Flatten", "Dense", "BatchNormalization", "Activation", "Dropout", "Dense"]
    );
    assert!(String::from_utf8_lossy(&model.to_safetensors()).contains(r#"\"activation\":\"silu\""#));
}

#[test]
fn functions_of_known_libraries() {
    let import = |module: &str, name: &str| {
        let function = json!({ "module": module, "class_name": "function", "config": name, "registered_name": "function" });
        let bytes = changed("digits.keras", |config| layers(config)[2]["config"]["activation"] = function);
        let model = import(&bytes, &Options::default()).ok()?.model;
        let text = String::from_utf8_lossy(&model.to_safetensors()).into_owned();
        let (_, rest) = text.split_once(r#"\"activation\":\""#).unwrap();
        rest.split_once('\\').map(|(name, _)| name.to_owned())
    };
    for (module, name, expected) in [
        ("keras.src.activations.activations", "gelu", Some("gelu")),
        ("tensorflow.python.ops.nn_impl", "swish", Some("silu")),
        ("jax._src.nn.functions", "relu6", Some("relu6")),
        // By jax's defaults.
        ("jax.nn", "gelu", Some("gelu_tanh")),
        ("jax.nn", "leaky_relu", None),
        // What Keras 3 calls any function of a program's own.
        ("builtins", "relu", None),
        ("kerasmine", "relu", None),
        ("keras.activations", "mine", None),
    ] {
        assert_eq!(import(module, name).as_deref(), expected, "{module}.{name}");
    }
}

#[test]
fn batch_normalization_of_pixels() {
    let twin = Sequential::<f64>::with_input_shape([28, 28])
        .flatten()
        .add(BatchNormalization::new().scale(false))
        .dense(10, Activation::Softmax);
    let model = check_normalized("norm-plain.keras", "norm-plain", SCALE, twin, SINGLE_TOLERANCE);
    assert!(model.weight("batch_normalization.gamma").is_none());
}

#[test]
fn training_only_layers_are_left_out() {
    let bytes = changed("norm.keras", |config| {
        layers(config)[3]["config"]["trainable"] = json!(false);
        layers(config).insert(2, layer("GaussianDropout", json!({ "name": "noise", "rate": 0.1 })));
    });
    let Imported { model, assumptions } = import(&bytes, &Options::default()).unwrap();
    let left_out =
        Assumption::TrainingOnly { layer: "noise".to_owned(), class: "GaussianDropout".to_owned() };
    assert_eq!(assumptions, [left_out]);
    let trainable: Vec<_> = model.layers().map(|layer| layer.trainable).collect();
    assert_eq!(trainable, [true, true, false, true, true, true]);
}

/// The initializers of a layer in the model's file.
fn initializers(model: &Model, layer: usize) -> Vec<(String, Value)> {
    let described = model.layer_configs();
    let config = described[layer]["config"].as_object().unwrap();
    let of = config.iter().filter(|(setting, _)| setting.ends_with("_initializer"));
    of.map(|(setting, value)| (setting.clone(), value.clone())).collect()
}

#[test]
fn initializers_are_kept() {
    let initializer = |class: &str, config: Value| json!({ "module": "keras.initializers", "class_name": class, "config": config, "registered_name": null });
    let bytes = changed("norm.keras", |config| {
        // Rescaling, Flatten, Dense, BatchNormalization, Dropout and Dense behind the input.
        let layers = layers(config);
        layers[3]["config"]["kernel_initializer"] =
            initializer("Orthogonal", json!({ "gain": 0.5, "seed": 7 }));
        layers[3]["config"]["bias_initializer"] = initializer("Constant", json!({ "value": 0.25 }));
        layers[4]["config"]["gamma_initializer"] = initializer(
            "RandomUniform",
            json!({ "minval": 0.5, "maxval": 1.5, "seed": null, "dtype": "float32" }),
        );
        layers[4]["config"]["beta_initializer"] = json!("random_normal");
        let arguments = json!({ "scale": 1.0, "mode": "fan_avg", "distribution": "uniform", "seed": null });
        layers[6]["config"]["kernel_initializer"] =
            json!({ "class_name": "VarianceScaling", "config": arguments });
    });
    let Imported { model, assumptions } = import(&bytes, &Options::default()).unwrap();
    assert_eq!(assumptions, []);
    let plain = import(&support::fixture("norm.keras"), &Options::default()).unwrap().model;
    assert_eq!(model.weights_sha256(), plain.weights_sha256(), "weights are the file's");
    let kept = |value: Value, of: &str| (of.to_owned(), value);
    assert_eq!(
        initializers(&model, 2),
        [
            kept(json!({ "class_name": "Constant", "config": { "value": 0.25 } }), "bias_initializer"),
            kept(json!({ "class_name": "Orthogonal", "config": { "gain": 0.5 } }), "kernel_initializer"),
        ]
    );
    let uniform = json!({ "class_name": "RandomUniform", "config": { "minval": 0.5, "maxval": 1.5 } });
    assert_eq!(
        initializers(&model, 3),
        [
            kept(json!("random_normal"), "beta_initializer"),
            kept(uniform, "gamma_initializer"),
            kept(json!("zeros"), "moving_mean_initializer"),
            kept(json!("ones"), "moving_variance_initializer"),
        ]
    );
    let arguments = json!({ "scale": 1.0, "mode": "fan_avg", "distribution": "uniform" });
    let scaling = json!({ "class_name": "VarianceScaling", "config": arguments });
    assert_eq!(
        initializers(&model, 5),
        [kept(json!("zeros"), "bias_initializer"), kept(scaling, "kernel_initializer")]
    );
}

#[test]
fn unsupported_initializers_are_left_out() {
    let bytes = changed("norm.keras", |config| {
        let layers = layers(config);
        layers[3]["config"]["kernel_initializer"] = json!({ "module": "mine", "class_name": "HeNormal", "config": {}, "registered_name": "mine>HeNormal" });
        layers[4]["config"]["gamma_initializer"] = json!({ "class_name": "Mi\nne", "config": { "seed": 1 } });
        layers[6]["config"]["kernel_initializer"] =
            json!({ "class_name": "RandomNormal", "config": { "stddev": -1.0, "seed": 1 } });
    });
    let Imported { model, assumptions } = import(&bytes, &Options::default()).unwrap();
    let messages: Vec<String> = assumptions.iter().map(ToString::to_string).collect();
    let end = "which is not supported; assuming the default";
    assert_eq!(
        messages,
        [
            format!(
                "layer {} (Dense): kernel_initializer is {}, {end}",
                "dense", r#"{"class_name":"HeNormal","config":{},"module":"mine","regist..."#
            ),
            format!(
                "layer {} (BatchNormalization): gamma_initializer is Mi\\nne, {end}",
                "batch_normalization"
            ),
            format!(
                "layer {} (Dense): kernel_initializer is {}, {end}",
                "dense_1", r#"{"class_name":"RandomNormal","config":{"stddev":-1.0}}"#
            ),
        ]
    );
    let plain = import(&support::fixture("norm.keras"), &Options::default()).unwrap().model;
    assert_eq!(model.to_safetensors(), plain.to_safetensors());
}

#[test]
fn the_input_shape_can_be_given() {
    let bytes = support::fixture("digits.weights.h5");
    let with = |shape: &[usize]| import(&bytes, &Options { input_shape: Some(shape.to_vec()) });
    assert_eq!(with(&[14, 56]).unwrap().model.input_shape(), [14, 56]);
    let error = with(&[28, 27]).unwrap_err().to_string();
    assert_eq!(error, "images of shape [28, 27] do not have the 784 inputs of the first Dense layer");
    assert!(with(&[usize::MAX, 2]).is_err());
}
