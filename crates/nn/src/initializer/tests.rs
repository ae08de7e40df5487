//! Draws, arguments and checks of the initializers.

use serde_json::{Value, json};
use ziffer_base::digest::Sha256;
use ziffer_tensor::random::{Purpose, Stream};

use super::*;
use crate::{Activation, BatchNormalization, Config, Dense, LayerNormalization, Model, PRelu, Sequential};

fn drawn(initializer: Initializer, shape: &[usize], seed: u64) -> Vec<f64> {
    let mut stream = Stream::new(seed, Purpose::Weights, 3);
    let mut draw = initializer.draw(shape, &mut stream).unwrap();
    (0..shape.iter().product()).map(|_| draw()).collect()
}

/// Saved models of earlier versions reproduce these weights.
#[test]
fn draws_of_matrices_keep_their_bits() {
    for (initializer, expected) in [
        (Initializer::GlorotUniform, "6d436c6772928cca"),
        (Initializer::GlorotNormal, "147500d2f643dfbe"),
        (Initializer::HeUniform, "db4932a121840592"),
        (Initializer::HeNormal, "08ec6a59677d1e0f"),
        (Initializer::LecunUniform, "cdc4294d69a93277"),
        (Initializer::LecunNormal, "e17099af5342802e"),
        (Initializer::Zeros, "3acab0298adf59e4"),
        (Initializer::Ones, "8af1819941700903"),
    ] {
        let mut sha256 = Sha256::default();
        drawn(initializer, &[37, 21], 7).iter().for_each(|number| sha256.update(number.to_le_bytes()));
        let digest = sha256.finish().to_string();
        assert_eq!(digest[..16], *expected, "{initializer}");
    }
}

#[test]
fn mean_variance_and_bounds() {
    use Distribution::{TruncatedNormal, Uniform, UntruncatedNormal};
    use FanMode::{FanAvg, FanIn, FanOut};
    let scaling = |scale, mode, distribution| Initializer::VarianceScaling { scale, mode, distribution };
    // The variance of a standard normal distribution truncated at two: 1 - 4 p(2) / (2 P(2) - 1), with the density p and P its integral.
    const CUT: f64 = 0.773_741_303_550_052_3;
    let cut = |variance: f64| 2.0 * (variance / CUT).sqrt();
    let uniform = |variance: f64| (3.0 * variance).sqrt();
    let none = f64::INFINITY;
    // The initializers with mean, variance, and largest distance from the mean.
    let cases = [
        // Glorot's limit by hand: sqrt(6 / 912).
        (Initializer::GlorotUniform, 0.0, 2.0 / 912.0, 0.081_110_710_565_381_27),
        (Initializer::GlorotNormal, 0.0, 2.0 / 912.0, cut(2.0 / 912.0)),
        (Initializer::HeUniform, 0.0, 2.0 / 784.0, uniform(2.0 / 784.0)),
        (Initializer::HeNormal, 0.0, 2.0 / 784.0, cut(2.0 / 784.0)),
        (Initializer::LecunUniform, 0.0, 1.0 / 784.0, uniform(1.0 / 784.0)),
        (Initializer::LecunNormal, 0.0, 1.0 / 784.0, cut(1.0 / 784.0)),
        (Initializer::RandomNormal { mean: 0.0, stddev: 0.05 }, 0.0, 0.0025, none),
        (Initializer::RandomNormal { mean: -3.0, stddev: 2.0 }, -3.0, 4.0, none),
        (Initializer::RandomUniform { minval: -0.05, maxval: 0.05 }, 0.0, 0.01 / 12.0, 0.05),
        (Initializer::RandomUniform { minval: 1.0, maxval: 4.0 }, 2.5, 9.0 / 12.0, 1.5),
        (Initializer::TruncatedNormal { mean: 0.0, stddev: 0.05 }, 0.0, 0.0025 * CUT, 0.1),
        (Initializer::TruncatedNormal { mean: 7.0, stddev: 0.5 }, 7.0, 0.25 * CUT, 1.0),
        (scaling(1.0, FanIn, TruncatedNormal), 0.0, 1.0 / 784.0, cut(1.0 / 784.0)),
        (scaling(3.0, FanOut, UntruncatedNormal), 0.0, 3.0 / 128.0, none),
        (scaling(0.5, FanAvg, Uniform), 0.0, 0.5 / 456.0, uniform(0.5 / 456.0)),
        (scaling(0.5, FanOut, TruncatedNormal), 0.0, 0.5 / 128.0, cut(0.5 / 128.0)),
    ];
    for (initializer, mean, variance, reach) in cases {
        let numbers = drawn(initializer, &[784, 128], 3);
        let count = numbers.len() as f64;
        let found = numbers.iter().sum::<f64>() / count;
        let of_squares = numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
        let farthest = numbers.iter().fold(0.0_f64, |farthest, x| farthest.max((x - mean).abs()));
        let deviation = variance.sqrt();
        // Four standard deviations of the mean, and some of the variance, whose relative one is at most sqrt(2 / count).
        assert!((found - mean).abs() < 4.0 * deviation / count.sqrt(), "{initializer:?}: mean {found}");
        assert!((of_squares / variance - 1.0).abs() < 0.018, "{initializer:?}: variance {of_squares}");
        if reach == none {
            // 100352 normals reach beyond 3.5 deviations, but not beyond 6.
            assert!((3.5..6.0).contains(&(farthest / deviation)), "{initializer:?}: {farthest}");
        } else {
            let relative = farthest / reach;
            assert!((0.999..1.000_000_1).contains(&relative), "{initializer:?}: {farthest}, {reach}");
        }
    }
    for (initializer, expected) in [
        (Initializer::Zeros, 0.0),
        (Initializer::Ones, 1.0),
        (Initializer::Constant { value: 0.0 }, 0.0),
        (Initializer::Constant { value: -2.5 }, -2.5),
    ] {
        assert_eq!(drawn(initializer, &[5, 3], 0), [expected; 15]);
    }
}

/// `compute_fans` of `keras/src/initializers/random_initializers.py`, by hand.
#[test]
fn fans_match_keras() {
    for (shape, expected) in [
        (&[][..], (1.0, 1.0)),
        (&[7], (7.0, 7.0)),
        (&[3, 5], (3.0, 5.0)),
        (&[2, 3, 5], (6.0, 10.0)),
        (&[4, 2, 3, 5], (24.0, 40.0)),
        (&[usize::MAX, 0, usize::MAX], (0.0, f64::powi(2.0, 128))),
    ] {
        assert_eq!(fans(shape), expected, "{shape:?}");
    }
    assert_eq!(FanMode::FanIn.of(&[0, 5]), 1.0);
    let largest = |initializer, shape: &[usize]| {
        drawn(initializer, shape, 1).iter().fold(0.0_f64, |largest, x| largest.max(x.abs()))
    };
    // sqrt(3 / 1000), of a vector; sqrt(6 / (1000 + 500)), of 20 * 50 inputs and 20 * 25 outputs.
    for (shape, limit) in [(&[1000][..], 0.054_772_25), (&[20, 50, 25], 0.063_245_55)] {
        let found = largest(Initializer::GlorotUniform, shape);
        assert!(found <= limit && found > 0.99 * limit, "{shape:?}: {found}");
    }
}

#[test]
fn glorot_he_and_lecun_are_variance_scaling() {
    use Distribution::{TruncatedNormal, Uniform};
    use FanMode::{FanAvg, FanIn};
    for (initializer, scale, mode, distribution) in [
        (Initializer::GlorotUniform, 1.0, FanAvg, Uniform),
        (Initializer::GlorotNormal, 1.0, FanAvg, TruncatedNormal),
        (Initializer::HeUniform, 2.0, FanIn, Uniform),
        (Initializer::HeNormal, 2.0, FanIn, TruncatedNormal),
        (Initializer::LecunUniform, 1.0, FanIn, Uniform),
        (Initializer::LecunNormal, 1.0, FanIn, TruncatedNormal),
    ] {
        let scaling = Initializer::VarianceScaling { scale, mode, distribution };
        for shape in [&[31, 17][..], &[40], &[2, 3, 4]] {
            assert_eq!(drawn(initializer, shape, 5), drawn(scaling, shape, 5), "{initializer} {shape:?}");
        }
    }
}

#[test]
fn orthogonal_is_orthogonal() {
    for shape in
        [&[200, 64][..], &[64, 200], &[128, 128], &[1, 1], &[1, 9], &[9, 1], &[4, 5, 60], &[3, 3, 4, 8]]
    {
        let columns = shape[shape.len() - 1];
        let rows = shape.iter().product::<usize>() / columns;
        for gain in [1.0, 1.5, -0.5] {
            let q: Vec<f32> =
                drawn(Initializer::Orthogonal { gain }, shape, 2).iter().map(|&x| x as f32).collect();
            // Vectors are the columns, or the rows if there are fewer.
            let at = |vector: usize, place: usize| {
                f64::from(if rows >= columns {
                    q[place * columns + vector]
                } else {
                    q[vector * columns + place]
                })
            };
            for one in 0..rows.min(columns) {
                for other in 0..=one {
                    let product: f64 =
                        (0..rows.max(columns)).map(|place| at(one, place) * at(other, place)).sum();
                    let expected = if one == other { gain * gain } else { 0.0 };
                    assert!((product - expected).abs() < 1e-6, "{shape:?} {gain}: {one}, {other}: {product}");
                }
            }
        }
    }
}

/// R = Q^T A is upper triangular with a positive diagonal, where A has the random numbers that Q is computed from.
#[test]
fn orthogonal_is_the_q_of_a_normal_matrix() {
    let (rows, columns) = (12, 7);
    let mut stream = Stream::new(2, Purpose::Weights, 3);
    // Column by column.
    let a: Vec<f64> = (0..rows * columns).map(|_| stream.normal()).collect();
    let q = drawn(Initializer::Orthogonal { gain: 1.0 }, &[rows, columns], 2);
    for i in 0..columns {
        for j in 0..columns {
            let r: f64 = (0..rows).map(|row| q[row * columns + i] * a[j * rows + row]).sum();
            let is_right = if i == j { r > 0.0 } else { i < j || r.abs() < 1e-14 };
            assert!(is_right, "R[{i}, {j}] is {r}");
        }
    }
    // A wide matrix is the transpose of the tall one of the same numbers.
    let wide = drawn(Initializer::Orthogonal { gain: 1.0 }, &[columns, rows], 2);
    for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
        assert_eq!(wide[column * rows + row], q[row * columns + column]);
    }
}

/// All orthogonal matrices are equally likely: an element of a 3 x 3 matrix is uniform on [-1, 1], by Archimedes.
#[test]
fn orthogonal_matrices_are_uniform() {
    let mut quarters = [0; 4];
    for seed in 0..4000 {
        for element in drawn(Initializer::Orthogonal { gain: 1.0 }, &[3, 3], seed) {
            quarters[(((element + 1.0) * 2.0) as usize).min(3)] += 1;
        }
    }
    // 9000 each. For 36000 independent elements the standard deviation is 82. The nine elements of a matrix depend on each other,
    // which makes it at most three times as large.
    assert!(quarters.iter().all(|count| (8700..9300).contains(count)), "{quarters:?}");
}

#[test]
fn identity_is_exact() {
    assert_eq!(drawn(Initializer::Identity { gain: 1.0 }, &[2, 2], 0), [1.0, 0.0, 0.0, 1.0]);
    assert_eq!(drawn(Initializer::Identity { gain: -2.5 }, &[2, 3], 0), [-2.5, 0.0, 0.0, 0.0, -2.5, 0.0]);
    assert_eq!(drawn(Initializer::Identity { gain: 0.5 }, &[3, 2], 0), [0.5, 0.0, 0.0, 0.5, 0.0, 0.0]);
}

#[test]
fn the_seed_determines_the_elements() {
    for initializer in Initializer::ALL {
        let bits = |seed| -> Vec<u64> {
            drawn(initializer, &[19, 23], seed).into_iter().map(f64::to_bits).collect()
        };
        assert_eq!(bits(4), bits(4), "{initializer}");
        let is_fixed = matches!(
            initializer,
            Initializer::Zeros
                | Initializer::Ones
                | Initializer::Constant { .. }
                | Initializer::Identity { .. }
        );
        assert_eq!(bits(4) == bits(5), is_fixed, "{initializer}");
    }
}

/// The initializers, with arguments other than the defaults.
fn with_arguments() -> [Initializer; 9] {
    let (mode, distribution) = (FanMode::FanAvg, Distribution::UntruncatedNormal);
    [
        Initializer::Constant { value: -1.25 },
        Initializer::RandomNormal { mean: 0.0, stddev: 0.02 },
        Initializer::RandomUniform { minval: -0.1, maxval: 1e-300 },
        Initializer::TruncatedNormal { mean: 0.1, stddev: 0.05 },
        Initializer::VarianceScaling { scale: 2.0, mode, distribution },
        Initializer::VarianceScaling {
            scale: 1.0,
            mode: FanMode::FanOut,
            distribution: Distribution::Uniform,
        },
        Initializer::Orthogonal { gain: 1.4 },
        Initializer::Identity { gain: 0.1 },
        Initializer::HeNormal,
    ]
}

fn read(value: &Value) -> Result<Initializer, String> {
    let settings = serde_json::Map::from_iter([("kernel_initializer".to_owned(), value.clone())]);
    let config = Config::new(&settings);
    config.initializer("kernel_initializer", Initializer::Ones).map_err(|error| error.to_string())
}

#[test]
fn names_and_configs_parse_to_the_same_initializer() {
    for initializer in Initializer::ALL {
        let (name, class) = (initializer.name(), initializer.class_name());
        assert_eq!(crate::snake_case(class), name);
        assert_eq!((name.parse(), class.parse()), (Ok(initializer), Ok(initializer)));
        assert_eq!(initializer.config(), name, "the defaults are not said");
        assert_eq!(read(&json!({ "class_name": class, "config": {} })), Ok(initializer));
    }
    for initializer in Initializer::ALL.into_iter().chain(with_arguments()) {
        assert_eq!(read(&initializer.config()), Ok(initializer));
        let text = initializer.config().to_string();
        assert_eq!(read(&serde_json::from_str(&text).unwrap()), Ok(initializer), "{text}");
    }
    for (name, expected) in
        [("normal", "random_normal"), ("uniform", "random_uniform"), ("zero", "zeros"), ("one", "ones")]
    {
        assert_eq!(read(&name.into()).unwrap().name(), expected);
    }
    assert_eq!(read(&"OrthogonalInitializer".into()).unwrap().name(), "orthogonal");
    assert_eq!(read(&"IdentityInitializer".into()).unwrap().name(), "identity");
    assert_eq!(read(&Value::Null), Ok(Initializer::Ones), "the setting's default");
    assert!("glorot".parse::<Initializer>().unwrap_err().contains("glorot_uniform"));
}

#[test]
fn initializers_written_by_keras_are_read() {
    let keras = json!({
        "module": "keras.initializers", "class_name": "RandomNormal",
        "config": { "mean": 1, "stddev": 0.5, "seed": null }, "registered_name": null
    });
    assert_eq!(read(&keras), Ok(Initializer::RandomNormal { mean: 1.0, stddev: 0.5 }));
    let normal =
        json!({ "class_name": "VarianceScaling", "config": { "scale": 2.0, "distribution": "Normal" } });
    let expected = Initializer::VarianceScaling {
        scale: 2.0,
        mode: FanMode::FanIn,
        distribution: Distribution::TruncatedNormal,
    };
    assert_eq!(read(&normal), Ok(expected));
    assert_eq!(read(&json!({ "class_name": "he_normal", "config": null })), Ok(Initializer::HeNormal));
}

#[test]
fn errors_contain_the_key_and_the_expected_values() {
    let with = |class: &str, name: &str, value: Value| json!({ "class_name": class, "config": { name.to_owned(): value } });
    for (value, expected) in [
        (
            json!(7),
            "kernel_initializer is 7, expected the name of an initializer, or its class_name and config",
        ),
        (json!("glorot"), "kernel_initializer is \"glorot\", expected one of constant, glorot_normal, "),
        (json!({ "stddev": 1 }), "kernel_initializer.class_name is null, expected that of an initializer"),
        (
            json!({ "class_name": "Mine" }),
            "kernel_initializer.class_name is \"Mine\", expected one of constant, glorot_normal, ",
        ),
        (
            json!({ "class_name": "RandomNormal", "stddev": 0.1 }),
            "kernel_initializer.stddev is unknown, expected class_name and config",
        ),
        (
            json!({ "class_name": "HeNormal", "module": "mine" }),
            "kernel_initializer.module is \"mine\", expected keras.initializers",
        ),
        (
            json!({ "class_name": "RandomNormal", "config": 0.1 }),
            "kernel_initializer.config is 0.1, expected a table of arguments",
        ),
        (
            with("RandomNormal", "std\ndev", json!(1)),
            "kernel_initializer.config.std\\ndev is unknown, expected mean, stddev",
        ),
        (with("HeNormal", "gain", json!(1)), "kernel_initializer.config.gain is unknown, expected none"),
        (
            with("HeNormal", "seed", json!(1)),
            "kernel_initializer.config.seed is 1, expected none: the model's seed is that of all weights",
        ),
        (
            with("Constant", "value", json!("a")),
            "kernel_initializer.config.value is \"a\", expected a number",
        ),
        (
            with("RandomNormal", "stddev", json!(-0.5)),
            "kernel_initializer.config.stddev is -0.5, expected a number of at least 0, finite as f32",
        ),
        (
            with("TruncatedNormal", "mean", json!(1e39)),
            "kernel_initializer.config.mean is 1000000000000000000000000000000000000000, expected a number, finite as f32",
        ),
        (
            with("RandomUniform", "maxval", json!(-1)),
            "kernel_initializer.config.maxval is -1, expected a number of at least minval, -0.05, finite as f32",
        ),
        (
            with("VarianceScaling", "scale", json!(0)),
            "kernel_initializer.config.scale is 0, expected a number above 0, finite as f32",
        ),
        (
            with("VarianceScaling", "mode", json!("fan")),
            "kernel_initializer.config.mode is \"fan\", expected fan_in, fan_out, fan_avg",
        ),
        (
            with("VarianceScaling", "distribution", json!("gauss")),
            "kernel_initializer.config.distribution is \"gauss\", expected truncated_normal, untruncated_normal, uniform",
        ),
    ] {
        let problem = read(&value).unwrap_err();
        assert!(problem.starts_with(expected), "{value}: {problem}");
        assert!(problem == expected || expected.ends_with(", "), "{problem}");
    }
}

#[test]
fn initializers_that_do_not_fit_are_rejected_by_build() {
    let error = |initializer| {
        let dense = Dense::new(3, Activation::Relu).bias_initializer(initializer);
        let (built, zeroed) = (Sequential::new([4]).add(dense.clone()), Sequential::new([4]).add(dense));
        let error = built.build(0).unwrap_err().to_string();
        assert_eq!(zeroed.build_zeroed().unwrap_err().to_string(), error);
        error
    };
    assert_eq!(
        error(Initializer::Identity { gain: 1.0 }),
        "layer dense: bias_initializer: identity takes 2 axes, found shape [3]"
    );
    assert_eq!(
        error(Initializer::Orthogonal { gain: 1.0 }),
        "layer dense: bias_initializer: orthogonal takes at least 2 axes, found shape [3]"
    );
    assert_eq!(
        error(Initializer::Constant { value: f64::NAN }),
        "layer dense: bias_initializer: value is NaN, expected a number, finite as f32"
    );
    let cube = PRelu::new().alpha_initializer(Initializer::Identity { gain: 1.0 });
    assert_eq!(
        Sequential::new([2, 3, 4]).add(cube).build(0).unwrap_err().to_string(),
        "layer p_re_lu: alpha_initializer: identity takes 2 axes, found shape [2, 3, 4]"
    );
}

/// Every setting of every layer, with arguments, through a model's file.
#[test]
fn layers_use_their_initializers_and_save_them() {
    let constant = |value| Initializer::Constant { value };
    let normalization = BatchNormalization::new()
        .beta_initializer(constant(1.0))
        .gamma_initializer(constant(2.0))
        .moving_mean_initializer(constant(3.0))
        .moving_variance_initializer(constant(4.0));
    let model = Sequential::new([6])
        .add(
            Dense::new(6, Activation::Linear)
                .kernel_initializer(Initializer::Identity { gain: 0.5 })
                .bias_initializer(constant(0.25)),
        )
        .add(normalization)
        .add(PRelu::new().alpha_initializer(constant(5.0)))
        .add(LayerNormalization::new().beta_initializer(constant(6.0)).gamma_initializer(constant(7.0)))
        .add(Dense::new(2, Activation::Softmax).kernel_initializer(Initializer::Orthogonal { gain: 2.0 }))
        .build(1)
        .unwrap();
    for (name, expected) in [
        ("dense.bias", 0.25),
        ("batch_normalization.beta", 1.0),
        ("batch_normalization.gamma", 2.0),
        ("batch_normalization.moving_mean", 3.0),
        ("batch_normalization.moving_variance", 4.0),
        ("p_re_lu.alpha", 5.0),
        ("layer_normalization.beta", 6.0),
        ("layer_normalization.gamma", 7.0),
        ("dense_1.bias", 0.0),
    ] {
        assert!(model.weight(name).unwrap().iter().all(|&number| number == expected), "{name}");
    }
    let kernel = model.weight("dense.kernel").unwrap();
    assert!(kernel.indexed_iter().all(|(at, &number)| number == if at[0] == at[1] { 0.5 } else { 0.0 }));

    let bytes = model.to_safetensors();
    let loaded = Model::from_safetensors(&bytes).unwrap();
    assert_eq!(loaded.to_safetensors(), bytes);
    let described = loaded.layer_configs();
    let object = json!({ "class_name": "Identity", "config": { "gain": 0.5 } });
    assert_eq!(described[0]["config"]["kernel_initializer"], object);
    assert_eq!(described[4]["config"]["bias_initializer"], "zeros");
    for (one, other) in model.slots().iter().zip(loaded.slots()) {
        assert_eq!(one.specs, other.specs, "{}", one.name);
    }
}

/// A layer's settings have the initializers of all of its weights, by Keras's names.
#[test]
fn settings_of_layers_list_all_initializers() {
    for (class, settings) in [
        ("Dense", &["kernel_initializer", "bias_initializer"][..]),
        ("PReLU", &["alpha_initializer"]),
        ("LayerNormalization", &["beta_initializer", "gamma_initializer"]),
        (
            "BatchNormalization",
            &[
                "beta_initializer",
                "gamma_initializer",
                "moving_mean_initializer",
                "moving_variance_initializer",
            ],
        ),
    ] {
        for setting in settings {
            let config =
                json!({ "units": 3, *setting: { "class_name": "Constant", "config": { "value": 0.5 } } });
            let config = config.as_object().unwrap();
            let mut layer = crate::layer_from_config(class, &Config::new(config)).unwrap().unwrap();
            assert_eq!(layer.config()[*setting], config[*setting]);
            layer.build(&[3]).unwrap();
            let weight = setting.strip_suffix("_initializer").unwrap();
            let spec = layer.weights().into_iter().find(|spec| spec.name == weight).unwrap();
            assert_eq!(spec.initializer, Initializer::Constant { value: 0.5 }, "{class} {setting}");
            let wrong = json!({ "units": 3, *setting: "mine" });
            let error =
                crate::layer_from_config(class, &Config::new(wrong.as_object().unwrap())).unwrap_err();
            assert!(error.to_string().starts_with(&format!("{setting} is \"mine\", expected one of ")));
        }
    }
}
