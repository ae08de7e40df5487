//! A training that a page shows while it runs.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;

use anyhow::{Context, anyhow};
use ziffer_dataset::TrainTest;
use ziffer_dataset::catalogue::Name;
use ziffer_nn::Model;
use ziffer_serve::{EpochResult, ServeError, Site, Training};
use ziffer_trainer::callback::{BatchLog, Callback, CallbackError, EpochEndContext, Flow, TrainingParams};
use ziffer_trainer::{EpochLog, History, Resumed};

use super::serve::{ListenArgs, examples, title};
use crate::account::REPORT_FILE;

/// The page of a training, served by a thread of its own until the program is asked to end.
pub(super) struct Watched {
    training: Arc<Training>,
    address: SocketAddr,
    server: JoinHandle<Result<(), ServeError>>,
}

impl Watched {
    /// Serves the page of the run in this folder, before anything is trained.
    pub(super) fn open(
        port: Option<u16>,
        name: Name,
        data: &TrainTest,
        folder: &Path,
        stop: &Arc<AtomicBool>,
    ) -> anyhow::Result<Self> {
        let training = Arc::new(Training::default());
        let site = Site::of_training(Arc::clone(&training), data.train.image_shape(), data.train.classes())
            .with_context(|| data.folder().display().to_string())?
            .title(title(folder))
            .labels(name.class_names().iter().copied())
            .examples(examples(data))
            .report(folder.join(REPORT_FILE));
        let listen = ListenArgs::at(Ipv4Addr::LOCALHOST.into(), port);
        let server = listen.bind()?;
        let address = server.address();
        listen.announce(&server, "the training", "it goes on after the training, until Ctrl-C");
        let stop = Arc::clone(stop);
        let server = std::thread::Builder::new()
            .name("page".to_owned())
            .spawn(move || server.run(site, &stop))
            .map_err(ServeError::Start)?;
        Ok(Self { training, address, server })
    }

    /// What tells the page.
    pub(super) fn callback(&self) -> Teller {
        Teller(Arc::clone(&self.training))
    }

    /// Hands the network over, and serves until the program is asked to end.
    pub(super) fn keep(self, model: Model, test_accuracy: f64) -> anyhow::Result<()> {
        self.training.end(model, test_accuracy);
        // A message; that nobody reads it is no failure.
        let _ = writeln!(io::stderr(), "Still serving at http://{}/; Ctrl-C stops", self.address);
        let outcome = self.server.join().map_err(|_| anyhow!("the page's server has panicked"))?;
        Ok(outcome?)
    }
}

/// Tells a page how a training goes.
pub(super) struct Teller(Arc<Training>);

impl Callback for Teller {
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
        // A data set has classes.
        self.0.step(log.epoch, log.step, log.mean_loss, log.mean_accuracy.unwrap_or(f64::NAN));
    }

    fn on_epoch_end(&mut self, log: &EpochLog, _: &mut EpochEndContext<'_>) -> Result<Flow, CallbackError> {
        let &EpochLog { loss, accuracy, val_loss, val_accuracy, .. } = log;
        let accuracy = accuracy.unwrap_or(f64::NAN);
        self.0.epoch(EpochResult { loss, accuracy, val_loss, val_accuracy });
        Ok(Flow::Continue)
    }
}
