//! Reading and writing recipes, and the errors of invalid ones.

use super::*;
use ziffer_nn::optimizer::Clip;
use ziffer_nn::optimizer::schedule::{CosineDecay, ExponentialDecay, OneCycle, PiecewiseConstantDecay};

fn from_file(text: &str) -> Result<Recipe, RecipeError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recipe.toml");
    std::fs::write(&path, text).unwrap();
    Recipe::open(&path)
}

#[test]
fn missing_keys_default_to_the_tutorial() {
    assert_eq!(from_file("").unwrap(), Recipe::open(Path::new("tutorial")).unwrap());
    let recipe = from_file("hidden = [300]\noptimizer = \"sgd\"\nshuffle = false\n").unwrap();
    assert_eq!((recipe.hidden.as_slice(), recipe.epochs, recipe.shuffle), (&[300][..], 5, Shuffle::None));
    assert_eq!(recipe.learning_rate(), 0.01);
    assert!(!recipe.is_tutorial());
    assert!(from_file("seed = 9\nlearning_rate = 0.001").unwrap().is_tutorial());
    for shuffle in [Shuffle::None, Shuffle::Auto, Shuffle::Full, Shuffle::Blocks] {
        let recipe = Recipe { shuffle, seed: u64::MAX, ..recipe.clone() };
        assert_eq!(Recipe::parse(&recipe.to_toml()).unwrap().shuffle, shuffle);
        assert_eq!(Recipe::parse(&recipe.to_toml()).unwrap().seed, u64::MAX);
    }
}

const EVERY_TABLE: &str = r#"
        loss = { name = "categorical_crossentropy", label_smoothing = 0.05 }
        learning_rate = 0.004
        [[layers]]
        type = "Rescaling"
        scale = 0.00784313725490196
        offset = -1
        [[layers]]
        type = "Dense"
        units = 30
        kernel_initializer = "he_normal"
        use_bias = false
        [[layers]]
        type = "BatchNormalization"
        momentum = 0.9
        [[layers]]
        type = "Dropout"
        rate = 0.2
        [optimizer]
        name = "AdamW"
        weight_decay = 0.02
        global_clipnorm = 1
        use_ema = true
        ema_momentum = 0.998
        [augment]
        rotation = 10
        elastic = 1.1
        elastic_sigma = 5.0
    "#;

#[test]
fn a_printed_recipe_is_the_same_recipe() {
    let recipe = Recipe::parse(EVERY_TABLE).unwrap();
    let text = recipe.to_toml();
    let again = Recipe::parse(&text).unwrap();
    assert_eq!(again.to_toml(), text);
    assert_eq!((again.optimizer(), again.augment), (recipe.optimizer(), recipe.augment));
    for part in [
        "label_smoothing = 0.05",
        "\nepsilon = 0.001\n",
        "\nmomentum = 0.9\n",
        "use_bias = false",
        "learning_rate = 0.004",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let AugmentSettings { rotation, zoom, elastic, .. } = again.augment;
    assert_eq!((rotation, zoom, elastic), (10.0, 0.0, 1.1));
    assert_eq!(
        (again.optimizer.clip, again.optimizer.ema_momentum),
        (Some(Clip::GlobalNorm(1.0)), Some(0.998))
    );

    let model = |recipe: &Recipe| recipe.network(&[28, 28], 10).unwrap().build(3).unwrap();
    assert_eq!(model(&recipe).to_safetensors(), model(&again).to_safetensors());
    let model = model(&recipe);
    let classes: Vec<_> = model.layers().map(|layer| layer.class_name).collect();
    assert_eq!(classes, ["Rescaling", "Flatten", "Dense", "BatchNormalization", "Dropout", "Dense"]);
    let tutorial = Recipe::parse(&Recipe::default().to_toml()).unwrap();
    assert!(tutorial.is_tutorial() && Recipe::default().is_tutorial());
}

#[test]
fn initializers_are_names_or_tables() {
    let text = r#"
            [[layers]]
            type = "Dense"
            units = 30
            kernel_initializer = { class_name = "RandomNormal", config = { stddev = 0.02 } }
            bias_initializer = { class_name = "Constant", config = { value = 1 } }
            [[layers]]
            type = "BatchNormalization"
            gamma_initializer = "RandomUniform"
            beta_initializer = { class_name = "zeros", config = {} }
            [[layers]]
            type = "PReLU"
            [layers.alpha_initializer]
            class_name = "VarianceScaling"
            config = { distribution = "uniform", mode = "fan_out" }
        "#;
    let recipe = Recipe::parse(text).unwrap();
    let shown = recipe.to_toml();
    for line in [
        "kernel_initializer = { class_name = \"RandomNormal\", config = { mean = 0.0, stddev = 0.02 } }\n",
        "bias_initializer = { class_name = \"Constant\", config = { value = 1.0 } }\n",
        "gamma_initializer = \"random_uniform\"\n",
        "beta_initializer = \"zeros\"\n",
        "moving_variance_initializer = \"ones\"\n",
        "alpha_initializer = { class_name = \"VarianceScaling\", \
         config = { distribution = \"uniform\", mode = \"fan_out\", scale = 1.0 } }\n",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    let again = Recipe::parse(&shown).unwrap();
    assert_eq!(again.to_toml(), shown);
    // Messages omit default initializers.
    let said = "Dense(activation=\"linear\", bias_initializer={\"class_name\":\"Constant\",\"config\":{\"value\":1.0}}, \
                kernel_initializer={\"class_name\":\"RandomNormal\",\"config\":{\"mean\":0.0,\"stddev\":0.02}}, \
                units=30, use_bias=true) \
                BatchNormalization(center=true, epsilon=0.001, gamma_initializer=\"random_uniform\", momentum=0.99, \
                scale=true) PReLU(";
    assert!(recipe.network_settings().1.starts_with(said), "{}", recipe.network_settings().1);
    assert_eq!(again.network_settings(), recipe.network_settings());
    let model = |recipe: &Recipe| recipe.network(&[28, 28], 10).unwrap().build(3).unwrap();
    let built = model(&recipe);
    assert_eq!(model(&again).to_safetensors(), built.to_safetensors());
    let kernel = built.weight("dense.kernel").unwrap();
    let variance = kernel.iter().map(|w| f64::from(w * w)).sum::<f64>() / kernel.len() as f64;
    assert!((variance / 0.0004 - 1.0).abs() < 0.03, "{variance}");
    assert!(built.weight("dense.bias").unwrap().iter().all(|&bias| bias == 1.0));
    let alpha = built.weight("p_re_lu.alpha").unwrap();
    // sqrt(3 / 30)
    assert!(alpha.iter().all(|alpha| alpha.abs() <= 0.316_228) && alpha.iter().any(|&alpha| alpha != 0.0));

    let recipe =
        Recipe::parse(&text.replace("\"Constant\", config = { value = 1 }", "\"Identity\"")).unwrap();
    let problem = recipe.network(&[28, 28], 10).unwrap().build(3).unwrap_err().to_string();
    assert_eq!(problem, "layer dense: bias_initializer: identity takes 2 axes, found shape [30]");
}

#[test]
fn schedules_are_in_steps_or_in_epochs() {
    let steps = |text: &str| {
        let recipe = Recipe::parse(text).unwrap();
        let again = Recipe::parse(&recipe.to_toml()).unwrap();
        assert_eq!(again.schedule(), recipe.schedule(), "{}", recipe.to_toml());
        recipe.schedule().map(|schedule| schedule.in_steps(100))
    };
    let cosine = "[optimizer.learning_rate]\nschedule = \"CosineDecay\"\ninitial_learning_rate = 0.0\n\
                  warmup_target = 0.004\nwarmup_epochs = 2\ndecay_epochs = 12.5\n";
    let expected =
        CosineDecay { warmup_target: Some(0.004), warmup_steps: 200, ..CosineDecay::new(0.0, 1250) };
    assert_eq!(steps(cosine), Some(expected.into()));
    assert_eq!(
        steps(
            "learning_rate = { schedule = \"ExponentialDecay\", initial_learning_rate = 0.1, decay_steps = 7, decay_rate = 0.5 }"
        ),
        Some(ExponentialDecay::new(0.1, 7, 0.5).into())
    );
    assert_eq!(
        steps(
            "learning_rate = { schedule = \"PiecewiseConstantDecay\", boundaries_epochs = [1, 2.5], values = [1, 0.1, 0.01] }"
        ),
        Some(PiecewiseConstantDecay::new([100, 250], [1.0, 0.1, 0.01]).into())
    );
    assert_eq!(
        steps(
            "optimizer = { name = \"sgd\", learning_rate = { schedule = \"OneCycle\", max_learning_rate = 0.1, total_epochs = 5 } }"
        ),
        Some(OneCycle::new(0.1, 500).into())
    );
    for class in ["PolynomialDecay", "InverseTimeDecay", "CosineDecayRestarts"] {
        let settings = match class {
            "InverseTimeDecay" => "decay_epochs = 1, decay_rate = 0.5",
            "CosineDecayRestarts" => "first_decay_epochs = 1",
            _ => "decay_steps = 10",
        };
        let text =
            format!("learning_rate = {{ schedule = \"{class}\", initial_learning_rate = 0.1, {settings} }}");
        assert!(format!("{:?}", steps(&text).unwrap()).starts_with(class));
    }
    let recipe = Recipe::parse(cosine).unwrap();
    assert_eq!(
        recipe.schedule().unwrap().to_string(),
        "CosineDecay(initial_learning_rate=0.0, decay_epochs=12.5, alpha=0.0, warmup_target=0.004, warmup_epochs=2.0)"
    );
    assert!(!recipe.is_tutorial());
    assert!(Recipe { learning_rate: Some(0.1), ..recipe }.schedule().is_none());
}

#[test]
fn an_output_layer_is_added_if_it_is_missing() {
    let classes = |text: &str, classes: usize| {
        let model = Recipe::parse(text).unwrap().network(&[4, 4], classes).unwrap().build(0).unwrap();
        let last = model.output_shape().to_vec();
        (model.layers().map(|layer| layer.class_name).collect::<Vec<_>>().join(" "), last)
    };
    let dense = "[[layers]]\ntype = \"Dense\"\nunits = 3\n";
    assert_eq!(classes(dense, 5), ("Flatten Dense Dense".to_owned(), vec![5]));
    let last = format!("{dense}activation = \"softmax\"\n");
    assert_eq!(classes(&last, 3), ("Flatten Dense".to_owned(), vec![3]));
    assert_eq!(classes(&last, 4), ("Flatten Dense Dense".to_owned(), vec![4]));
    let binary = format!("loss = \"binary_crossentropy\"\n{last}");
    assert_eq!(classes(&binary, 3), ("Flatten Dense Dense".to_owned(), vec![3]));
    assert_eq!(classes("[[layers]]\ntype = \"BatchNormalization\"", 2).0, "BatchNormalization Flatten Dense");
}

#[test]
fn errors_name_the_line() {
    for (text, part) in [
        ("epoch = 5", "line 1: unknown key epoch, expected one of augment, batch_size, callbacks, dataset, "),
        ("epochs = 5\nbatch_size = \"many\"", "line 2: "),
        ("epochs = 0", "line 1: epochs is 0, expected a whole number of at least 1"),
        ("validation_split = nan", "line 1: validation_split is nan, expected a number from 0 to below 1"),
        ("hidden = [10, 0]", "line 1: hidden is [10, 0], expected a list of whole numbers of at least 1"),
        ("learning_rate = -1", "learning_rate is -1"),
        ("dataset = \"cifar\"", "line 1: dataset is \"cifar\", expected mnist"),
        (
            "optimizer = \"lions\"",
            "line 1: optimizer is \"lions\", expected one of sgd, adam, adamw, rmsprop, nadam, lion",
        ),
        ("shuffle = \"some\"", "line 1: shuffle is \"some\", expected true, false, \"full\" or \"blocks\""),
        ("shuffle = 1", "line 1: shuffle is 1, expected true, false"),
        ("loss = \"hinge\"", "line 1: loss is \"hinge\", expected sparse_categorical_crossentropy, "),
        (
            "loss = { name = \"mse\", label_smoothing = 0.1 }",
            "unknown key label_smoothing, expected one of name",
        ),
        (
            "\n[optimizer]\nname = \"sgd\"\nbeta_1 = 0.9",
            "line 4: unknown key beta_1, expected one of clipnorm, ",
        ),
        ("[optimizer]\nbeta_1 = 1", "line 2: beta_1 is 1, expected a number from 0 to below 1"),
        ("[optimizer]\nclipnorm = 1\nclipvalue = 1", "found both clipnorm and clipvalue"),
        (
            "learning_rate = \"fast\"",
            "line 1: learning_rate is \"fast\", expected a positive number, or a table with a schedule",
        ),
        (
            "\n[optimizer.learning_rate]\nschedule = \"Cosine\"",
            "line 3: schedule is \"Cosine\", expected one of ExponentialDecay, PiecewiseConstantDecay, ",
        ),
        ("[optimizer.learning_rate]\nalpha = 0.1", "line 1: no schedule, expected one of ExponentialDecay, "),
        (
            "[optimizer.learning_rate]\nschedule = \"CosineDecay\"\ninitial_learning_rate = 0.1",
            "line 1: no decay_steps, expected a number of steps, or decay_epochs",
        ),
        (
            "[optimizer.learning_rate]\nschedule = \"CosineDecay\"\ndecay_steps = 5",
            "line 1: no initial_learning_rate, expected a number",
        ),
        (
            "[optimizer.learning_rate]\nschedule = \"CosineDecay\"\ninitial_learning_rate = 0.1\ndecay_epochs = 5\n\
             alpha = 2",
            "line 5: alpha is 2, expected a number from 0 to 1",
        ),
        (
            "[optimizer.learning_rate]\nschedule = \"CosineDecay\"\ninitial_learning_rate = 0.1\ndecay_steps = 5\n\
             decay_epochs = 5",
            "line 5: found both decay_steps and decay_epochs, expected one of them",
        ),
        (
            "[optimizer.learning_rate]\nschedule = \"CosineDecay\"\ninitial_learning_rate = 0.1\ndecay_steps = 5\n\
             decay_rate = 0.5",
            "line 5: unknown key decay_rate, expected one of alpha, decay_epochs, decay_steps, ",
        ),
        (
            "[[callbacks]]\ntype = \"EarlyStop\"",
            "line 2: type is \"EarlyStop\", expected one of EarlyStopping, ModelCheckpoint, ",
        ),
        (
            "[[callbacks]]\ntype = \"EarlyStopping\"\n\npatience = -1",
            "line 4: patience is -1, expected a whole number of at least 0",
        ),
        (
            "[[callbacks]]\ntype = \"EarlyStopping\"\nmonitor = \"f1\"",
            "line 3: monitor is \"f1\", expected loss, accuracy, val_loss or val_accuracy",
        ),
        (
            "[[callbacks]]\ntype = \"ReduceLROnPlateau\"\nfactor = 1.5",
            "line 3: factor is 1.5, expected a number above 0 and below 1",
        ),
        (
            "[[callbacks]]\ntype = \"CSVLogger\"\nfile = \"log.csv\"",
            "line 3: unknown key file, expected one of append, filename, separator, type",
        ),
        (
            "[optimizer.learning_rate]\nschedule = \"OneCycle\"\nmax_learning_rate = 0.1\ntotal_epoch = 5",
            "line 4: unknown key total_epoch, expected one of div_factor, final_div_factor, ",
        ),
        ("[[callbacks]]\ntype = \"CSVLogger\"", "line 1: no filename, expected a file's path"),
        (
            "[[callbacks]]\ntype = \"LearningRateScheduler\"\nschedule = { 0 = -1 }",
            "line 3: schedule is { 0 = -1 }, expected a table of epochs, counted from 0, and learning rates",
        ),
        (
            "[[callbacks]]\ntype = \"TerminateOnNaN\"\npatience = 1",
            "line 3: unknown key patience, expected one of raise_error, type",
        ),
        ("[augment]\nrotation = 100", "line 2: rotation is 100, expected degrees from 0 to 90"),
        ("augment = true", "line 1: augment is true, expected a table [augment]"),
        ("[[layers]]\nunits = 3", "line 1: no type, expected the class of a layer"),
        (
            "[[layers]]\ntype = \"Dens\"",
            "line 2: type is \"Dens\", expected one of Activation, BatchNormalization, Dense, ",
        ),
        ("[[layers]]\ntype = \"Dense\"\nunits = -1", "line 3: units is -1, expected a whole number"),
        ("[[layers]]\ntype = \"Dense\"\nunit = 3", "line 2: no units, expected a whole number"),
        (
            "[[layers]]\ntype = \"Dense\"\nunits = 3\nbias_initializer = \"glorot\"",
            "line 4: bias_initializer is \"glorot\", expected one of constant, glorot_normal, ",
        ),
        (
            "[[layers]]\ntype = \"Dense\"\nunits = 3\n\
             kernel_initializer = { class_name = \"RandomNormal\", config = { stddev = -1 } }",
            "line 4: kernel_initializer.config.stddev is -1, expected a number of at least 0, finite as f32",
        ),
        (
            "[[layers]]\ntype = \"Dense\"\nunits = 3\n\
             kernel_initializer = { class_name = \"RandomNormal\", stddev = 0.1 }",
            "line 4: kernel_initializer.stddev is unknown, expected class_name and config",
        ),
        (
            "[[layers]]\ntype = \"PReLU\"\n[layers.alpha_initializer]\nclass_name = \"Ones\"\nconfig = { value = 1 }",
            "line 3: alpha_initializer.config.value is unknown, expected none",
        ),
        (
            "[[layers]]\ntype = \"Dense\"\nunits = 3\n\n[[layers]]\ntype = \"Dropout\"\nrate = 0.1\nrates = 1",
            "line 8: unknown key rates, expected one of rate, type",
        ),
        ("hidden = [3]\n[[layers]]\ntype = \"Dense\"\nunits = 3", "found both layers and hidden"),
        ("layers = 3", "line 1: layers is 3, expected tables, each under a line [[layers]]"),
        ("epochs = ", "line 1: "),
    ] {
        let message = from_file(text).unwrap_err().to_string();
        assert!(message.contains(part) && message.contains("recipe.toml"), "{text}: {message}");
        assert!(!message.contains('\n'), "{message}");
    }
    assert!(Recipe::open(Path::new("none")).unwrap_err().to_string().starts_with("no recipe none"));
}

#[test]
fn callback_arguments_are_read_and_written() {
    let text = r#"
        [[callbacks]]
        type = "EarlyStopping"
        monitor = "accuracy"
        patience = 3
        verbose = 1
        baseline = 1
        restore_best_weights = true
        [[callbacks]]
        type = "LearningRateScheduler"
        schedule = { 0 = 0.001, 2 = 0.0005, 10 = 1e-4 }
        [[callbacks]]
        type = "ModelCheckpoint"
        filepath = "best-{epoch:02d}.safetensors"
        save_freq = 100
        [[callbacks]]
        type = "TerminateOnNaN"
    "#;
    let recipe = Recipe::parse(text).unwrap();
    let again = Recipe::parse(&recipe.to_toml()).unwrap();
    assert_eq!(again.callbacks, recipe.callbacks);
    let shown: Vec<String> = recipe.callbacks.iter().map(|c| c.callback().name().to_owned()).collect();
    assert_eq!(shown, ["early stopping", "learning rate scheduler", "model checkpoint", "terminate on nan"]);
    let printed = recipe.to_toml();
    for part in
        ["monitor = \"accuracy\"", "verbose = true", "baseline = 1.0", "save_freq = 100", "mode = \"auto\""]
    {
        assert!(printed.contains(part), "{part}: {printed}");
    }
    let Some((_, toml::Value::Table(table))) = recipe.callbacks[1].settings().first() else {
        panic!("a schedule")
    };
    let rates: Vec<f64> = (0..12).map(|epoch| callbacks::scheduled(table, epoch, 7.0)).collect();
    assert_eq!((rates[0], rates[1], rates[2], rates[9], rates[11]), (1e-3, 1e-3, 5e-4, 5e-4, 1e-4));
}
