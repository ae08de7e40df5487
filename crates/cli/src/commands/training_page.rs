//! The web page of a training while it runs: `train --serve`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;

use anyhow::{Context, anyhow};
use ziffer_dataset::TrainTest;
use ziffer_dataset::catalog::Name;
use ziffer_nn::Model;
use ziffer_serve::{EpochResult, ServeError, Site, TrainingProgress};
use ziffer_trainer::callback::{BatchLog, Callback, CallbackError, EpochEndContext, Flow, TrainingParams};
use ziffer_trainer::{EpochLog, History, Resumed};

use super::serve::{ListenArgs, examples, title};
use crate::output::print_message;
use crate::report_input::REPORT_FILE;

/// The page of a training, served by its own thread until the program is interrupted.
pub(super) struct TrainingPage {
    training: Arc<TrainingProgress>,
    address: SocketAddr,
    server: JoinHandle<Result<(), ServeError>>,
}

impl TrainingPage {
    /// Starts to serve the page of the run in this folder, before the training.
    pub(super) fn open(
        port: Option<u16>,
        name: Name,
        data: &TrainTest,
        folder: &Path,
        stop: &Arc<AtomicBool>,
    ) -> anyhow::Result<Self> {
        let training = Arc::new(TrainingProgress::default());
        let site = Site::of_training(Arc::clone(&training), data.train.image_shape(), data.train.classes())
            .with_context(|| data.folder().display().to_string())?
            .title(title(folder))
            .labels(name.class_names().iter().copied())
            .examples(examples(data))
            .report(folder.join(REPORT_FILE));
        let listen = ListenArgs::at(Ipv4Addr::LOCALHOST.into(), port);
        let server = listen.bind()?;
        let address = server.address();
        listen.announce(&server, "the training", "it stays open after the training, until Ctrl-C");
        let stop = Arc::clone(stop);
        let server = std::thread::Builder::new()
            .name("page".to_owned())
            .spawn(move || server.run(site, &stop))
            .map_err(ServeError::Start)?;
        Ok(Self { training, address, server })
    }

    /// The callback that sends metrics to the page.
    pub(super) fn callback(&self) -> PageCallback {
        PageCallback(Arc::clone(&self.training))
    }

    /// Passes the trained model to the page, and serves until the program is interrupted.
    pub(super) fn keep(self, model: Model, test_accuracy: f64) -> anyhow::Result<()> {
        self.training.end(model, test_accuracy);
        print_message(&format!("Still serving at http://{}/; press Ctrl-C to stop", self.address));
        let result = self.server.join().map_err(|_| anyhow!("the server of the page panicked"))?;
        Ok(result?)
    }
}

/// Sends the metrics of a training to its page.
pub(super) struct PageCallback(Arc<TrainingProgress>);

impl Callback for PageCallback {
    fn name(&self) -> &'static str {
        "page"
    }

    fn on_train_begin(&mut self, params: &TrainingParams, _: &mut Model) -> Result<(), CallbackError> {
        self.0.begin(params.epochs, params.steps);
        Ok(())
    }

    fn on_resume(&mut self, resumed: &Resumed) -> Result<(), CallbackError> {
        let History { loss, accuracy, val_loss, val_accuracy, .. } = &resumed.history;
        for (epoch, (&loss, &accuracy)) in loss.iter().zip(accuracy).enumerate() {
            let (val_loss, val_accuracy) = (val_loss.get(epoch).copied(), val_accuracy.get(epoch).copied());
            self.0.epoch(EpochResult { loss, accuracy, val_loss, val_accuracy });
        }
        Ok(())
    }

    fn on_batch_end(&mut self, log: &BatchLog) {
        // Samples of a data set have classes, so there is an accuracy.
        self.0.step(log.epoch, log.step, log.mean_loss, log.mean_accuracy.unwrap_or(f64::NAN));
    }

    fn on_epoch_end(&mut self, log: &EpochLog, _: &mut EpochEndContext<'_>) -> Result<Flow, CallbackError> {
        let &EpochLog { loss, accuracy, val_loss, val_accuracy, .. } = log;
        let accuracy = accuracy.unwrap_or(f64::NAN);
        self.0.epoch(EpochResult { loss, accuracy, val_loss, val_accuracy });
        Ok(Flow::Continue)
    }
}
