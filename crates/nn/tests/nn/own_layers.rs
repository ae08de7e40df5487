//! Layers that are defined outside of the crate: registered, saved and loaded.

use std::collections::HashMap;

use crate::common::{classes, pixels};
use ndarray::{ArrayView2, ArrayViewMut2, Axis, s};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Map, Value, json};
use ziffer_nn::thread_team::ThreadTeam;
use ziffer_nn::{
    Activation, Adam, Config, Context, GradientSink, Initializer, Input, Layer, LayerError, Model,
    Sequential, SparseCategoricalCrossentropy, Training, WeightSpec, Weights, WithLabels, register_layer,
};

/// y = strength * a * x + shift, with one factor a per element of a sample.
#[derive(Clone, Debug)]
struct Gain {
    strength: f32,
    shift: f32,
    inputs: usize,
    class: &'static str,
}

impl Gain {
    fn new(class: &'static str, strength: f32, shift: f32) -> Self {
        Self { strength, shift, inputs: 0, class }
    }
}

impl Layer<f32> for Gain {
    fn class_name(&self) -> &'static str {
        self.class
    }
    fn build(&mut self, input_shape: &[usize]) -> Result<Vec<usize>, LayerError> {
        if self.strength == 0.0 {
            return Err("strength is 0, expected another number".into());
        }
        self.inputs = input_shape.iter().product();
        Ok(input_shape.to_vec())
    }
    fn weights(&self) -> Vec<WeightSpec> {
        vec![WeightSpec::new("factor", [self.inputs], Initializer::Ones)]
    }
    fn config(&self) -> Map<String, Value> {
        Map::from_iter([
            ("strength".to_owned(), self.strength.into()),
            ("shift".to_owned(), self.shift.into()),
        ])
    }
    fn forward(
        &self,
        _: &mut Context<'_, f32>,
        weights: Weights<'_, f32>,
        x: Input<'_, f32>,
        mut y: ArrayViewMut2<'_, f32>,
    ) {
        y.assign(&x.to_real());
        y *= &weights.vector(0);
        y.mapv_inplace(|y| y * self.strength + self.shift);
    }
    fn backward(
        &self,
        _: &mut Context<'_, f32>,
        weights: Weights<'_, f32>,
        _: Input<'_, f32>,
        _: ArrayView2<'_, f32>,
        mut d: ArrayViewMut2<'_, f32>,
        d_x: Option<ArrayViewMut2<'_, f32>>,
    ) {
        d *= self.strength;
        if let Some(mut d_x) = d_x {
            d_x.assign(&d);
            d_x *= &weights.vector(0);
        }
    }
    fn gradient(
        &self,
        x: Input<'_, f32>,
        d: ArrayView2<'_, f32>,
        _: &[f32],
        sink: &mut GradientSink<'_, f32>,
    ) {
        let owned = sink.range(0);
        let products = &x.to_real().slice(s![.., owned.clone()]) * &d.slice(s![.., owned]);
        sink.push(0, products.sum_axis(Axis(0)).as_slice().unwrap());
    }
}

/// Registers a class of gains.
fn register(class: &'static str) {
    register_layer(class, move |config| from_config(class, config)).unwrap();
}

fn from_config(class: &'static str, config: &Config<'_>) -> Result<Gain, LayerError> {
    let (strength, shift) = (config.number("strength", None)?, config.number("shift", Some(0.0))?);
    Ok(Gain::new(class, strength as f32, shift as f32))
}

const SAMPLES: usize = 60;
const CLASSES: usize = 4;

/// A model with two gains, trained for some steps, so that all weights differ from their initial values.
fn trained(class: &'static str) -> Model {
    let mut model = Sequential::new([5, 4])
        .rescaling(1.0 / 255.0, 0.0)
        .flatten()
        .add(Gain::new(class, 1.5, 0.0))
        .dense(9, Activation::Tanh)
        .add(Gain::new(class, -0.75, 0.125))
        .dense(CLASSES, Activation::Softmax)
        .build(2)
        .unwrap();
    let (x, classes) = (pixels(SAMPLES, 20, 1), classes(SAMPLES, CLASSES));
    let samples = WithLabels::new(x.view(), &classes);
    let mut training = Training::new(&model, Adam { learning_rate: 0.01, ..Adam::default() }, 10).unwrap();
    let order: Vec<u32> = (0..SAMPLES as u32).collect();
    let loss = SparseCategoricalCrossentropy::default();
    training.run(&mut model, &loss, &samples, &order, (&ThreadTeam::new(2).unwrap()).into()).unwrap();
    let factors: Vec<_> = model.weights().filter(|(name, _)| name.ends_with(".factor")).collect();
    assert!(factors.len() == 2 && factors.iter().all(|(_, factor)| factor.iter().any(|&a| a != 1.0)));
    model
}

#[test]
fn a_registered_layer_is_loaded_from_a_file() {
    register("Gain");
    let mut saved = trained("Gain");
    saved.set_trainable("gain_1", false).unwrap();
    saved.set_trainable("dense", false).unwrap();
    let bytes = saved.to_safetensors();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    saved.save(&path).unwrap();
    let pictures = pixels(SAMPLES, 20, 5);
    for loaded in [Model::from_safetensors(&bytes).unwrap(), Model::load(&path).unwrap()] {
        assert_eq!(loaded.weights_sha256(), saved.weights_sha256());
        assert_eq!(loaded.summary(), saved.summary());
        assert!(loaded.summary().contains("gain_1 (Gain)"), "{}", loaded.summary());
        assert!(loaded.layers().eq(saved.layers()));
        let trainable: Vec<_> = loaded.layers().filter(|layer| !layer.trainable).map(|l| l.name).collect();
        assert_eq!(trainable, ["dense", "gain_1"]);
        assert_eq!(loaded.non_trainable_parameters(), 20 * 9 + 9 + 9);
        // The settings were loaded: the outputs depend on them.
        assert_eq!(loaded.predict(pictures.view()), saved.predict(pictures.view()));
        assert_eq!(loaded.to_safetensors(), bytes);
    }
}

#[test]
fn unknown_classes_have_a_message_of_one_line() {
    let bytes = trained("NeverRegistered").to_safetensors();
    let message = Model::from_safetensors(&bytes).unwrap_err().to_string();
    let expected = "a layer of class \"NeverRegistered\", which is not registered with register_layer, expected one of Activation, ";
    assert!(message.contains(expected), "{message}");
    assert!(!message.contains('\n'), "{message}");

    // `load_with` takes the class as an argument.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    std::fs::write(&path, &bytes).unwrap();
    let model = Model::load_with(&path, |class, config| {
        let gain = || Ok(Box::new(from_config("NeverRegistered", config)?) as Box<dyn Layer<f32>>);
        (class == "NeverRegistered").then(gain).transpose()
    });
    assert_eq!(model.unwrap().to_safetensors(), bytes);
    let refused = Model::load_with(&path, |_, _| Err("no gain today".into())).unwrap_err();
    assert!(format!("{refused:?}").ends_with("no gain today"), "{refused:?}");
}

#[test]
fn built_in_classes_cannot_be_replaced() {
    for class in ["BatchNormalization", "Dense", "Dropout", "Flatten", "Rescaling"] {
        let error = register_layer(class, |_| Ok(Gain::new("Gain", 1.0, 0.0))).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{class} is the class of a built-in layer; choose another name")
        );
    }
    // Other classes can be replaced.
    register("Twice");
    register_layer("Twice", |_| Ok(Gain::new("Twice", 3.0, 0.0))).unwrap();
    let layer = ziffer_nn::layer_from_config("Twice", &Config::new(&Map::new())).unwrap().unwrap();
    assert_eq!(layer.config()["strength"], 3.0);
    assert!(ziffer_nn::layer_from_config("Thrice", &Config::new(&Map::new())).unwrap().is_none());
}

/// A model file with a gain of two elements and a layer of one unit.
fn file(architecture: &Value) -> Vec<u8> {
    let numbers = |numbers: &[f32]| numbers.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    let (factor, kernel, bias) = (numbers(&[2.0, 3.0]), numbers(&[0.5, -0.25]), numbers(&[0.125]));
    let tensor = |shape: &[usize], bytes| TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap();
    let tensors = [
        ("stored.factor", tensor(&[2], &factor)),
        ("dense.kernel", tensor(&[2, 1], &kernel)),
        ("dense.bias", tensor(&[1], &bias)),
    ];
    let metadata = HashMap::from([("architecture".to_owned(), architecture.to_string())]);
    safetensors::serialize(tensors, Some(metadata)).unwrap()
}

fn architecture(strength: Value) -> Value {
    json!({
        "class_name": "Sequential",
        "input_shape": [2],
        "layers": [
            { "class_name": "Stored", "name": "stored", "config": { "strength": strength } },
            { "class_name": "Dense", "name": "dense", "config": { "units": 1, "activation": "linear" } },
        ],
    })
}

/// Files of older versions have no input type.
#[test]
fn a_file_without_an_input_type_takes_pixels() {
    register("Stored");
    let mut described = architecture(json!(1.0));
    let loaded = Model::from_safetensors(&file(&described)).unwrap();
    assert!(loaded.takes_pixels());
    // 51 / 255 and 255 / 255, times 2 and 3, times 0.5 and -0.25, and the bias.
    let y = loaded.predict(ndarray::arr2(&[[51_u8, 255]]).view())[[0, 0]];
    assert!((y - (0.2 - 0.75 + 0.125)).abs() < 1e-6, "{y}");
    // A file saved now has the input type.
    assert!(Model::from_safetensors(&loaded.to_safetensors()).unwrap().takes_pixels());

    described["input_type"] = "numbers".into();
    let loaded = Model::from_safetensors(&file(&described)).unwrap();
    assert!(!loaded.takes_pixels());
    assert!(!Model::from_safetensors(&loaded.to_safetensors()).unwrap().takes_pixels());
    described["input_type"] = "words".into();
    let message = Model::from_safetensors(&file(&described)).unwrap_err().to_string();
    assert!(message.contains("input_type is \"words\", expected \"pixels\" or \"numbers\""), "{message}");
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[test]
fn errors_of_settings_contain_the_class() {
    register("Stored");
    for (strength, part) in [
        (json!("much"), "a layer of class \"Stored\": strength is \"much\", expected a number"),
        (Value::Null, "a layer of class \"Stored\": no strength, expected a number"),
        // An error of the layer itself.
        (json!(0.0), "layer stored: strength is 0, expected another number"),
    ] {
        let message = chain(&Model::from_safetensors(&file(&architecture(strength))).unwrap_err());
        assert!(message.contains(part) && !message.contains('\n'), "{message}");
    }
}
