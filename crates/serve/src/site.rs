//! What is served: a network, and what the page shows beside it.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use ziffer_nn::Model;

use crate::{ServeError, Training};

/// A picture to begin with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Example {
    /// Its class.
    pub label: usize,
    /// Rows of bytes as the network takes them, of the network's input shape; others are left out.
    pub pixels: Vec<u8>,
}

/// A network with what the page shows beside it.
#[derive(Debug)]
pub struct Site {
    network: Network,
    pub(crate) shape: [usize; 2],
    pub(crate) title: String,
    pub(crate) labels: Vec<String>,
    pub(crate) examples: Vec<Example>,
    pub(crate) report: Option<PathBuf>,
}

/// Where the network comes from.
#[derive(Debug)]
enum Network {
    Ready(Box<Model>),
    Training(Arc<Training>),
}

/// Sides that pictures can be prepared for.
const SIDES: std::ops::RangeInclusive<usize> = 7..=1024;

impl Site {
    /// A site of a network that takes pictures and says how likely each class is.
    ///
    /// # Errors
    /// If its input is not rows and columns of 7 to 1024 pixels, or it has no parameters.
    pub fn new(model: Model) -> Result<Self, ServeError> {
        let shape = picture(model.input_shape())?;
        if model.parameters() == 0 || model.outputs() == 0 {
            return Err(ServeError::NoParameters);
        }
        Ok(Self::of(shape, model.outputs(), Network::Ready(Box::new(model))))
    }

    /// A site of a network that is still training, for pictures of `shape` and so many classes. Its predictions begin when
    /// [`Training::end`] hands it over.
    ///
    /// # Errors
    /// If the shape is not rows and columns of 7 to 1024 pixels.
    pub fn of_training(training: Arc<Training>, shape: &[usize], classes: usize) -> Result<Self, ServeError> {
        Ok(Self::of(picture(shape)?, classes, Network::Training(training)))
    }

    fn of(shape: [usize; 2], classes: usize, network: Network) -> Self {
        let labels = (0..classes).map(|class| class.to_string()).collect();
        Self { network, shape, title: "a network".to_owned(), labels, examples: Vec::new(), report: None }
    }

    /// Sets what the page calls the network.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Sets what the classes are called, if there are as many names as classes. By default their numbers.
    #[must_use]
    pub fn labels<S: Into<String>>(mut self, labels: impl IntoIterator<Item = S>) -> Self {
        let labels: Vec<String> = labels.into_iter().map(Into::into).collect();
        if labels.len() == self.labels.len() {
            self.labels = labels;
        }
        self
    }

    /// Sets the pictures to begin with.
    #[must_use]
    pub fn examples(mut self, examples: impl IntoIterator<Item = Example>) -> Self {
        let [rows, columns] = self.shape;
        self.examples =
            examples.into_iter().filter(|example| example.pixels.len() == rows * columns).collect();
        self
    }

    /// Sets the HTML file of the run's report, which is read whenever it is asked for.
    #[must_use]
    pub fn report(mut self, path: impl Into<PathBuf>) -> Self {
        self.report = Some(path.into());
        self
    }

    /// The network, once it is there.
    pub(crate) fn model(&self) -> Option<&Model> {
        match &self.network {
            Network::Ready(model) => Some(model),
            Network::Training(training) => training.model(),
        }
    }

    pub(crate) fn training(&self) -> Option<&Training> {
        match &self.network {
            Network::Ready(_) => None,
            Network::Training(training) => Some(training),
        }
    }
}

/// Rows and columns, if a picture can be prepared for them.
fn picture(shape: &[usize]) -> Result<[usize; 2], ServeError> {
    match shape {
        &[rows, columns] if SIDES.contains(&rows) && SIDES.contains(&columns) => Ok([rows, columns]),
        _ => Err(ServeError::NoPicture { found: shape.to_vec() }),
    }
}
