//! Compares the callbacks with Keras's for the same metrics.

use std::fs;

use ndarray::arr2;
use serde_json::Value;
use ziffer_nn::{Activation, Model, Sequential};
use ziffer_trainer::callback::{
    BatchLog, CSVLogger, Callback, EarlyStopping, EpochEndContext, Flow, Mode, ModelCheckpoint, Monitor,
    ReduceLROnPlateau, SaveFreq, TrainingParams,
};
use ziffer_trainer::{EpochLog, ShuffleMethod};

const EPOCHS: usize = 12;

fn recorded(part: &str) -> Vec<Value> {
    let text = fs::read_to_string(crate::support::keras("callbacks.json")).unwrap();
    let mut record: Value = serde_json::from_str(&text).unwrap();
    match record[part].take() {
        Value::Array(cases) => cases,
        other => panic!("{part}: {other}"),
    }
}

fn params(has_validation: bool) -> TrainingParams {
    TrainingParams {
        epochs: EPOCHS,
        steps: 5,
        has_validation,
        samples: 5,
        bytes: 5,
        shuffle: ShuffleMethod::None,
        has_accuracy: true,
        sets_learning_rate: false,
    }
}

fn model() -> Model {
    Sequential::new([1]).dense(1, Activation::Linear).build(0).unwrap()
}

fn set_weight(model: &mut Model, value: f32) {
    model.set_weight("dense.kernel", arr2(&[[value]]).view()).unwrap();
}

fn weight(model: &Model) -> f64 {
    f64::from(model.weight("dense.kernel").unwrap()[[0, 0]])
}

/// An epoch with these metrics. Missing metrics are 0, or `None` for those of validation.
fn log(epoch: usize, numbers: &Value) -> EpochLog {
    let number = |name: &str| numbers.get(name).map(|value| value.as_f64().unwrap());
    EpochLog {
        epoch,
        epochs: EPOCHS,
        steps: 5,
        loss: number("loss").unwrap_or(0.0),
        accuracy: number("accuracy").or(Some(0.0)),
        val_loss: number("val_loss"),
        val_accuracy: number("val_accuracy"),
        seconds: 0.0,
        learning_rate: number("learning_rate").unwrap_or(0.1),
    }
}

fn one(monitor: Monitor, value: &Value) -> Value {
    serde_json::json!({ monitor.name(): value })
}

fn monitor(arguments: &Value) -> Monitor {
    arguments["monitor"].as_str().unwrap().parse().unwrap()
}

fn mode(arguments: &Value) -> Mode {
    arguments["mode"].as_str().unwrap().parse().unwrap()
}

fn size(value: &Value) -> usize {
    value.as_u64().unwrap().try_into().unwrap()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

#[test]
fn early_stopping_matches_keras() {
    let cases = recorded("early_stopping");
    assert_eq!(cases.len(), 120);
    for case in cases {
        let arguments = &case["arguments"];
        let monitor = monitor(arguments);
        let mut stopping = EarlyStopping::new(monitor, size(&arguments["patience"]))
            .mode(mode(arguments))
            .min_delta(arguments["min_delta"].as_f64().unwrap())
            .restore_best_weights(arguments["restore_best_weights"].as_bool().unwrap())
            .start_from_epoch(size(&arguments["start_from_epoch"]))
            .verbose(true);
        if let Some(baseline) = arguments["baseline"].as_f64() {
            stopping = stopping.baseline(baseline);
        }
        let mut model = model();
        stopping.on_train_begin(&params(true), &mut model).unwrap();
        let mut epochs = 0;
        for (epoch, value) in case["values"].as_array().unwrap().iter().enumerate() {
            set_weight(&mut model, epoch as f32 + 1.0);
            let mut context = EpochEndContext { model: &mut model, learning_rate: 0.1 };
            epochs += 1;
            if stopping.on_epoch_end(&log(epoch, &one(monitor, value)), &mut context).unwrap() == Flow::Stop {
                break;
            }
        }
        stopping.on_train_end(&mut model).unwrap();
        assert_eq!(epochs, size(&case["epochs"]), "{case}");
        assert_eq!(stopping.best_epoch().map(|epoch| epoch as u64), case["best_epoch"].as_u64(), "{case}");
        assert_eq!(
            stopping.stopped_epoch().map(|epoch| epoch as u64),
            case["stopped_epoch"].as_u64(),
            "{case}"
        );
        assert_eq!(weight(&model), case["weight"].as_f64().unwrap(), "{case}");
        assert_eq!(stopping.take_messages(), texts(&case["messages"]), "{case}");
        assert!(stopping.take_messages().is_empty());
    }
}

#[test]
fn reduce_lr_on_plateau_matches_keras() {
    let cases = recorded("reduce_lr_on_plateau");
    assert_eq!(cases.len(), 123);
    let mut reductions = 0;
    for (index, case) in cases.iter().enumerate() {
        let arguments = &case["arguments"];
        let monitor = monitor(arguments);
        let mut plateau = ReduceLROnPlateau::new(monitor).mode(mode(arguments)).verbose(true);
        for (name, value) in arguments.as_object().unwrap() {
            plateau = match name.as_str() {
                "factor" => plateau.factor(value.as_f64().unwrap()),
                "patience" => plateau.patience(size(value)),
                "min_delta" => plateau.min_delta(value.as_f64().unwrap()),
                "cooldown" => plateau.cooldown(size(value)),
                "min_lr" => plateau.min_lr(value.as_f64().unwrap()),
                _ => plateau,
            };
        }
        let mut model = model();
        plateau.on_train_begin(&params(true), &mut model).unwrap();
        let mut rate = case["rate"].as_f64().unwrap();
        let mut rates = Vec::new();
        for (epoch, value) in case["values"].as_array().unwrap().iter().enumerate() {
            let mut context = EpochEndContext { model: &mut model, learning_rate: rate };
            let flow = plateau.on_epoch_end(&log(epoch, &one(monitor, value)), &mut context).unwrap();
            assert_eq!(flow, Flow::Continue);
            rate = context.learning_rate;
            rates.push(rate);
        }
        let expected = crate::support::numbers(&case["rates"]);
        let (ours, keras) = (plateau.take_messages(), texts(&case["messages"]));
        if index < 120 {
            // Powers of two are exact in f32.
            assert_eq!(rates, expected, "{case}");
            assert_eq!(ours, keras, "{case}");
        } else {
            // Keras rounds to f32 in each reduction.
            let close = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-6 * b;
            assert!(rates.iter().zip(&expected).all(close), "{rates:?}, {case}");
            assert_eq!(ours.len(), keras.len());
        }
        reductions += ours.len();
    }
    assert!(reductions > 200, "{reductions}");
}

#[test]
fn model_checkpoint_matches_keras() {
    let cases = recorded("model_checkpoint");
    assert_eq!(cases.len(), 64);
    for case in cases {
        let arguments = &case["arguments"];
        let is_best_only = arguments["save_best_only"].as_bool().unwrap();
        let save_freq = arguments["save_freq"].as_u64();
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("new");
        let mut checkpoint = ModelCheckpoint::new(folder.join(case["template"].as_str().unwrap()))
            .monitor(monitor(arguments))
            .mode(mode(arguments))
            .save_best_only(is_best_only)
            .save_weights_only(true)
            .save_freq(save_freq.map_or(SaveFreq::Epoch, |batches| SaveFreq::Batches(batches as usize)))
            .verbose(true);
        if let Some(value) = arguments["initial_value_threshold"].as_f64() {
            checkpoint = checkpoint.initial_value_threshold(value);
        }
        let mut model = model();
        checkpoint.on_train_begin(&params(true), &mut model).unwrap();
        let numbers = case["numbers"].as_array().unwrap();
        let written = case["written"].as_array().unwrap();
        assert_eq!((numbers.len(), written.len()), (EPOCHS, EPOCHS));
        for (index, (numbers, written)) in numbers.iter().zip(written).enumerate() {
            set_weight(&mut model, index as f32 + 1.0);
            let log = log(index, numbers);
            if save_freq.is_some() {
                let (epoch, step) = (index / 5, index % 5);
                let (mean_loss, mean_accuracy) = (log.loss, log.accuracy);
                let log = BatchLog { epoch, step, loss: -1.0, mean_loss, mean_accuracy, learning_rate: 0.1 };
                assert_ne!(checkpoint.steps_until_model(), Some(0));
                checkpoint.on_batch_end(&log);
                if checkpoint.steps_until_model() == Some(0) {
                    checkpoint.on_batch_end_with_model(&log, &model).unwrap();
                }
            } else {
                let mut context = EpochEndContext { model: &mut model, learning_rate: 0.1 };
                assert_eq!(checkpoint.on_epoch_end(&log, &mut context).unwrap(), Flow::Continue);
                assert_eq!(checkpoint.steps_until_model(), None);
            }
            let files: Vec<String> = fs::read_dir(&folder)
                .into_iter()
                .flatten()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            let expected: Vec<&str> = written["file"].as_str().into_iter().collect();
            assert_eq!(files, expected, "{case}");
            for file in &files {
                let mut saved = self::model();
                saved.load_weights(folder.join(file)).unwrap();
                assert_eq!(weight(&saved), index as f64 + 1.0);
                fs::remove_file(folder.join(file)).unwrap();
            }
            let folder = format!("{}/", folder.display());
            let ours: Vec<String> =
                checkpoint.take_messages().into_iter().map(|message| message.replace(&folder, "")).collect();
            assert_eq!(ours, texts(&written["messages"]), "{case}");
        }
    }
}

#[test]
fn csv_logger_writes_the_bytes_of_keras() {
    let cases = recorded("csv_logger");
    assert_eq!(cases.len(), 60);
    for case in cases {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.csv");
        if let Some(before) = case["before"].as_str() {
            fs::write(&path, before).unwrap();
        }
        let arguments = &case["arguments"];
        let mut logger = CSVLogger::new(&path).append(arguments["append"].as_bool().unwrap_or(false));
        if let Some(separator) = arguments["separator"].as_str() {
            logger = logger.separator(separator.parse().unwrap());
        }
        let (network, mut model) = (&mut model(), model());
        let sets_learning_rate = case["numbers"][0].get("learning_rate").is_some();
        logger.on_train_begin(&TrainingParams { sets_learning_rate, ..params(true) }, network).unwrap();
        for (epoch, numbers) in case["numbers"].as_array().unwrap().iter().enumerate() {
            let mut context = EpochEndContext { model: &mut model, learning_rate: 0.1 };
            logger.on_epoch_end(&log(epoch, numbers), &mut context).unwrap();
        }
        logger.on_train_end(network).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), case["content"].as_str().unwrap(), "{case}");
    }
}
