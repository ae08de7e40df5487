//! Callbacks that write files, in resumed trainings.

use std::fs;

use ziffer_nn::Model;
use ziffer_trainer::History;
use ziffer_trainer::callback::{
    BatchLog, CSVLogger, Callback, CallbackError, ModelCheckpoint, Monitor, ReduceLROnPlateau, SaveFreq,
};

use super::harness::{
    STEPS, fit, network, resumes_to_the_same_result, resumes_to_the_same_result_at, trainer,
};

#[test]
fn a_csv_file_is_continued_after_a_kill() {
    let outcome = resumes_to_the_same_result(trainer, |out| CSVLogger::new(out.join("log.csv")));
    let text = String::from_utf8(outcome.files["log.csv"].clone()).unwrap();
    let mut lines = text.split_terminator("\r\n");
    assert_eq!(lines.next(), Some("epoch,accuracy,loss,val_accuracy,val_loss"));
    let rows: Vec<Vec<f64>> =
        lines.map(|line| line.split(',').map(|value| value.parse().unwrap()).collect()).collect();
    let History { loss, accuracy, val_loss, val_accuracy, .. } = outcome.history;
    let expected: Vec<Vec<f64>> =
        (0..7).map(|i| vec![i as f64, accuracy[i], loss[i], val_accuracy[i], val_loss[i]]).collect();
    assert_eq!(rows, expected);

    // The epoch's rate, before the next callback sets another.
    let reducing = || {
        let plateau = ReduceLROnPlateau::new(Monitor::ValAccuracy).min_delta(10.0).patience(2).factor(0.5);
        trainer().callback(plateau)
    };
    let with_rate = resumes_to_the_same_result(reducing, |out| CSVLogger::new(out.join("log.csv")));
    let text_with_rate = String::from_utf8(with_rate.files["log.csv"].clone()).unwrap();
    let columns: Vec<&str> =
        text_with_rate.split_terminator("\r\n").map(|line| line.split(',').nth(2).unwrap()).collect();
    assert_eq!(columns, ["learning_rate", "0.02", "0.02", "0.02", "0.01", "0.01", "0.005", "0.005"]);

    // The file has other lines at the start. Lines after a checkpoint are only removed if there is one.
    let intervals = ["1step", "5steps", "1epoch"];
    let before = "epoch;accuracy\r\n0;0.5\r\n";
    let appended = resumes_to_the_same_result_at(&intervals, trainer, |out| {
        let path = out.join("log.csv");
        if !path.exists() {
            fs::write(&path, before).unwrap();
        }
        CSVLogger::new(path).append(true).separator(';')
    });
    let lines = text.split_once("\r\n").unwrap().1.replace(',', ";");
    assert_eq!(appended.files["log.csv"], format!("{before}{lines}").as_bytes());
    let fresh = resumes_to_the_same_result_at(&intervals, trainer, |out| {
        CSVLogger::new(out.join("log.csv")).append(true)
    });
    assert_eq!(fresh.files["log.csv"], text.as_bytes());
}

/// Records the weights after each step.
#[derive(Default)]
struct Weights(Vec<String>);

impl Callback for Weights {
    fn name(&self) -> &'static str {
        "weights"
    }
    fn steps_until_model(&self) -> Option<usize> {
        Some(0)
    }
    fn on_batch_end_with_model(&mut self, log: &BatchLog, model: &Model) -> Result<(), CallbackError> {
        assert_eq!(self.0.len(), log.epoch * STEPS + log.step);
        self.0.push(model.weights_sha256());
        Ok(())
    }
}

#[test]
fn models_are_saved_at_the_same_steps_after_a_kill() {
    let mut weights = Weights::default();
    fit(trainer().callback(&mut weights), &mut network()).unwrap();
    let sha256 = |bytes: &[u8]| Model::from_safetensors(bytes).unwrap().weights_sha256();

    let all = resumes_to_the_same_result(trainer, |out| {
        ModelCheckpoint::new(out.join("{epoch:02d}-{val_loss:.4f}.safetensors"))
    });
    assert_eq!(all.files.len(), 7);
    for (epoch, (name, bytes)) in all.files.iter().enumerate() {
        let loss = all.history.val_loss[epoch];
        assert_eq!(*name, format!("{:02}-{loss:.4}.safetensors", epoch + 1));
        assert_eq!(sha256(bytes), weights.0[(epoch + 1) * STEPS - 1]);
    }

    let best = resumes_to_the_same_result(trainer, |out| {
        ModelCheckpoint::new(out.join("{epoch}")).monitor(Monitor::ValLoss).save_best_only(true)
    });
    let mut lowest = f64::INFINITY;
    let better: Vec<String> = (best.history.val_loss.iter().enumerate())
        .filter(|&(_, &loss)| {
            let before = lowest;
            lowest = lowest.min(loss);
            loss < before
        })
        .map(|(epoch, _)| (epoch + 1).to_string())
        .collect();
    assert_eq!(best.files.keys().cloned().collect::<Vec<_>>(), better);
    assert!(better.len() < 7);

    let by_batch = resumes_to_the_same_result(trainer, |out| {
        ModelCheckpoint::new(out.join("{epoch:02d}-{batch:02d}")).save_freq(SaveFreq::Batches(5))
    });
    assert_eq!(by_batch.files.len(), 7 * STEPS / 5);
    for (name, bytes) in &by_batch.files {
        let (epoch, batch) = name.split_once('-').unwrap();
        let [epoch, batch] = [epoch, batch].map(|number| number.parse::<usize>().unwrap());
        let step = (epoch - 1) * STEPS + batch;
        assert_eq!((step % 5, sha256(bytes)), (0, weights.0[step - 1].clone()), "{name}");
    }
}

#[test]
fn between_batches_metrics_are_those_of_the_epoch_so_far() {
    let outcome = resumes_to_the_same_result(trainer, |out| {
        let checkpoint = ModelCheckpoint::new(out.join("{epoch:02d}-{batch:02d}-{loss}"));
        checkpoint.monitor(Monitor::Loss).save_best_only(true).save_freq(SaveFreq::Batches(3))
    });
    let mut losses = Means::default();
    fit(trainer().callback(&mut losses), &mut network()).unwrap();
    let mut lowest = f64::INFINITY;
    let mut expected = Vec::new();
    for (index, &loss) in losses.0.iter().enumerate().filter(|(index, _)| index % 3 == 2) {
        if loss < lowest {
            lowest = loss;
            expected.push(format!("{:02}-{:02}-{loss:?}", index / STEPS + 1, index % STEPS + 1));
        }
    }
    assert_eq!(outcome.files.keys().cloned().collect::<Vec<_>>(), expected);
    assert!((2..7 * STEPS / 3).contains(&expected.len()), "{expected:?}");
}

/// Records the mean loss of the epoch so far at each step.
#[derive(Default)]
struct Means(Vec<f64>);

impl Callback for Means {
    fn name(&self) -> &'static str {
        "means"
    }
    fn on_batch_end(&mut self, log: &BatchLog) {
        self.0.push(log.mean_loss);
    }
}
