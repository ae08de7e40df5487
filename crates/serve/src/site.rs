//! The site: a model, and what the page shows beside it.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use ziffer_nn::Model;

use crate::{ServeError, TrainingProgress};

/// An example image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Example {
    /// Its class.
    pub label: usize,
    /// Its pixels, row by row, in the shape of the model's input. The site ignores examples of other shapes.
    pub pixels: Vec<u8>,
}

/// A model, and what the page shows beside it.
#[derive(Debug)]
pub struct Site {
    model: ModelState,
    pub(crate) shape: [usize; 2],
    pub(crate) title: String,
    pub(crate) labels: Vec<String>,
    pub(crate) examples: Vec<Example>,
    pub(crate) report: Option<PathBuf>,
}

#[derive(Debug)]
enum ModelState {
    Ready(Box<Model>),
    Training(Arc<TrainingProgress>),
}

/// The sides that a picture can be prepared for.
const SIDES: std::ops::RangeInclusive<usize> = 7..=1024;

impl Site {
    /// The site of a model that classifies images.
    ///
    /// # Errors
    /// If the model's input is not rows and columns of 7 to 1024 pixels, or if the model has no parameters.
    pub fn new(model: Model) -> Result<Self, ServeError> {
        let shape = image_shape(model.input_shape())?;
        if model.parameters() == 0 || model.outputs() == 0 {
            return Err(ServeError::NoParameters);
        }
        Ok(Self::of(shape, model.classes(), ModelState::Ready(Box::new(model))))
    }

    /// The site of a model that is still training. It predicts from [`TrainingProgress::end`] on.
    ///
    /// # Errors
    /// If the shape is not rows and columns of 7 to 1024 pixels.
    pub fn of_training(
        progress: Arc<TrainingProgress>,
        shape: &[usize],
        classes: usize,
    ) -> Result<Self, ServeError> {
        Ok(Self::of(image_shape(shape)?, classes, ModelState::Training(progress)))
    }

    fn of(shape: [usize; 2], classes: usize, model: ModelState) -> Self {
        let labels = (0..classes).map(|class| class.to_string()).collect();
        Self { model, shape, title: "a model".to_owned(), labels, examples: Vec::new(), report: None }
    }

    /// Sets the model's name on the page.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Sets the names of the classes, if there is one per class. The default is their numbers.
    #[must_use]
    pub fn labels<S: Into<String>>(mut self, labels: impl IntoIterator<Item = S>) -> Self {
        let labels: Vec<String> = labels.into_iter().map(Into::into).collect();
        if labels.len() == self.labels.len() {
            self.labels = labels;
        }
        self
    }

    /// Sets the example images.
    #[must_use]
    pub fn examples(mut self, examples: impl IntoIterator<Item = Example>) -> Self {
        let [rows, columns] = self.shape;
        self.examples =
            examples.into_iter().filter(|example| example.pixels.len() == rows * columns).collect();
        self
    }

    /// Sets the HTML file of the run's report. Each request reads it again.
    #[must_use]
    pub fn report(mut self, path: impl Into<PathBuf>) -> Self {
        self.report = Some(path.into());
        self
    }

    /// The model, if it is not training.
    pub(crate) fn model(&self) -> Option<&Model> {
        match &self.model {
            ModelState::Ready(model) => Some(model),
            ModelState::Training(progress) => progress.model(),
        }
    }

    pub(crate) fn progress(&self) -> Option<&TrainingProgress> {
        match &self.model {
            ModelState::Ready(_) => None,
            ModelState::Training(progress) => Some(progress),
        }
    }
}

/// Rows and columns, if a picture can be prepared for them.
fn image_shape(shape: &[usize]) -> Result<[usize; 2], ServeError> {
    match shape {
        &[rows, columns] if SIDES.contains(&rows) && SIDES.contains(&columns) => Ok([rows, columns]),
        _ => Err(ServeError::NoPicture { found: shape.to_vec() }),
    }
}
