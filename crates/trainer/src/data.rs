//! What is trained and evaluated on: data sets, and samples of any other kind.

use ndarray::{Array2, ArrayView2};
use ziffer_dataset::{Dataset, DatasetError, View};
use ziffer_nn::training::{check as check_fit, check_targets};
use ziffer_nn::{Evaluation, Loss, Model, Optimizer, Samples, Slice, SparseCategoricalCrossentropy};

use crate::trainer::setting;
use crate::{Augmented, History, Pixels, TrainError, Trainer};

/// Data for [`Trainer::fit`], [`Trainer::validation_data`] and [`Evaluate::evaluate`].
///
/// These are a [`Dataset`] by reference, a [`View`] of one, and any [`Samples`] by reference: rows of an array as
/// [`WithClasses`](ziffer_nn::WithClasses) or [`WithValues`](ziffer_nn::WithValues), or samples of one's own. `Kind` tells them
/// apart and is never written.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no data to train or evaluate on",
    note = "these are `&Dataset`, `View`, and `&S` for samples `S: Samples<f32>` such as `WithClasses` and `WithValues`"
)]
pub trait IntoSamples<Kind>: private::IntoSamples<Kind> {}

impl<Kind, D: private::IntoSamples<Kind>> IntoSamples<Kind> for D {}

/// The kind of a data set.
#[derive(Debug)]
pub enum Pictures {}

/// The kind of other samples.
#[derive(Debug)]
pub enum Rows {}

mod private {
    #![allow(unreachable_pub, reason = "a bound of a public trait")]

    use super::{Evaluation, History, Loss, Model, Optimizer, TrainError, Trainer, Validation};

    pub trait IntoSamples<Kind>: Sized {
        fn fit<O: Optimizer<f32>, L: Loss<f32>>(
            self,
            trainer: &mut Trainer<'_, O, L>,
            model: &mut Model,
        ) -> Result<History, TrainError>;

        fn validation<'a, L: Loss<f32>>(self) -> Box<dyn Validation<L> + 'a>
        where
            Self: 'a;

        fn evaluate<L: Loss<f32>>(self, model: &Model, loss: &L) -> Result<Evaluation, TrainError>;
    }
}

/// What a model is validated on after each epoch.
#[allow(unreachable_pub, reason = "it stands in the signature of a trait that is public to be a bound")]
pub trait Validation<L>: Sync {
    /// The number of samples.
    fn len(&self) -> usize;

    /// Checks that they fit the model and the loss.
    fn check(&self, model: &Model, loss: &L) -> Result<(), TrainError>;

    /// Loss and accuracy over all of them, on rayon's threads.
    fn evaluate(&self, model: &Model, loss: &L) -> Result<Evaluation, TrainError>;

    /// Checks that what was evaluated was right, and has memory released if it is needed otherwise.
    fn finish(&self, releases: bool) -> Result<(), TrainError>;
}

/// Samples to validate on.
struct ValidationSamples<S>(S);

impl<S: Samples<f32>, L: Loss<f32>> Validation<L> for ValidationSamples<S> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn check(&self, model: &Model, loss: &L) -> Result<(), TrainError> {
        check_fit(model, loss, &self.0)?;
        Ok(check_targets(model, loss, &self.0)?)
    }

    fn evaluate(&self, model: &Model, loss: &L) -> Result<Evaluation, TrainError> {
        Ok(model.evaluate_with(loss, &self.0)?)
    }

    fn finish(&self, releases: bool) -> Result<(), TrainError> {
        self.0.check().map_err(TrainError::Samples)?;
        if releases {
            self.0.release(0..self.0.len());
        }
        Ok(())
    }
}

impl private::IntoSamples<Pictures> for View<'_> {
    fn fit<O: Optimizer<f32>, L: Loss<f32>>(
        self,
        trainer: &mut Trainer<'_, O, L>,
        model: &mut Model,
    ) -> Result<History, TrainError> {
        trainer.validate()?;
        check_pictures(model, self)?;
        let split = trainer.split_to_cut_off();
        let (train, validation) = self.split(split)?;
        let shuffle = trainer.shuffle.of_file(train.len(), train.features());
        let train = Pixels(train);
        let train = match trainer.augmentation {
            None => Augmented::plain(&train),
            Some(distortion) => match *self.image_shape() {
                [rows, columns] => Augmented::new(&train, [rows, columns], distortion)?,
                ref shape => return Err(TrainError::NotFlat { found: shape.to_vec() }),
            },
        };
        let validation = ValidationSamples(Pixels(validation));
        let of_split = (split > 0.0).then_some(&validation as &dyn Validation<L>);
        trainer.fit_shuffled(model, &train, of_split, shuffle)
    }

    fn validation<'a, L: Loss<f32>>(self) -> Box<dyn Validation<L> + 'a>
    where
        Self: 'a,
    {
        Box::new(ValidationSamples(Pixels(self)))
    }

    fn evaluate<L: Loss<f32>>(self, model: &Model, loss: &L) -> Result<Evaluation, TrainError> {
        check_pictures(model, self)?;
        let evaluation = model.evaluate_with(loss, &Pixels(self))?;
        self.check_unchanged().map_err(DatasetError::from)?;
        Ok(evaluation)
    }
}

impl private::IntoSamples<Pictures> for &Dataset {
    fn fit<O: Optimizer<f32>, L: Loss<f32>>(
        self,
        trainer: &mut Trainer<'_, O, L>,
        model: &mut Model,
    ) -> Result<History, TrainError> {
        self.view().fit(trainer, model)
    }

    fn validation<'a, L: Loss<f32>>(self) -> Box<dyn Validation<L> + 'a>
    where
        Self: 'a,
    {
        self.view().validation()
    }

    fn evaluate<L: Loss<f32>>(self, model: &Model, loss: &L) -> Result<Evaluation, TrainError> {
        self.view().evaluate(model, loss)
    }
}

impl<S: Samples<f32>> private::IntoSamples<Rows> for &S {
    fn fit<O: Optimizer<f32>, L: Loss<f32>>(
        self,
        trainer: &mut Trainer<'_, O, L>,
        model: &mut Model,
    ) -> Result<History, TrainError> {
        trainer.validate()?;
        if trainer.augmentation.is_some() {
            // The samples may be no pictures, and their shape is not known.
            let expected = "none for samples that are no data set; give them as `Augmented` ones";
            return Err(setting("augment", "set", expected));
        }
        let (shuffle, split) = (trainer.shuffle, trainer.split_to_cut_off());
        if split == 0.0 {
            return trainer.fit_shuffled(model, self, None, shuffle);
        }
        let samples = self.len();
        let end = (samples as f64 * (1.0 - split)).floor() as usize;
        if end == 0 || end == samples {
            let expected = "a share that leaves samples in both parts";
            return Err(setting("validation_split", split, expected));
        }
        let validation = ValidationSamples(Slice::new(self, end..samples));
        trainer.fit_shuffled(model, &Slice::new(self, 0..end), Some(&validation), shuffle)
    }

    fn validation<'a, L: Loss<f32>>(self) -> Box<dyn Validation<L> + 'a>
    where
        Self: 'a,
    {
        Box::new(ValidationSamples(self))
    }

    fn evaluate<L: Loss<f32>>(self, model: &Model, loss: &L) -> Result<Evaluation, TrainError> {
        Ok(model.evaluate_with(loss, self)?)
    }
}

/// Checks that a model's input and output are what the pictures and classes of a set need.
fn check_pictures(model: &Model, data: View<'_>) -> Result<(), TrainError> {
    if data.is_empty() {
        return Err(TrainError::Empty);
    }
    if model.inputs() != data.features() {
        return Err(TrainError::Pictures {
            found: data.image_shape().to_vec(),
            expected: model.input_shape().to_vec(),
        });
    }
    if model.outputs() < data.classes() {
        return Err(TrainError::Classes { found: data.classes(), expected: model.outputs() });
    }
    Ok(())
}

/// What a model says of data: Keras's `evaluate` and `predict`.
pub trait Evaluate {
    /// Mean cross-entropy and accuracy over all samples. Parallel over rayon's threads; the result does not depend on
    /// their number.
    ///
    /// # Errors
    /// If there are no samples, or they do not fit the model.
    fn evaluate<Kind>(&self, data: impl IntoSamples<Kind>) -> Result<Evaluation, TrainError> {
        self.evaluate_by(&SparseCategoricalCrossentropy::default(), data)
    }

    /// As `evaluate`, by another loss.
    ///
    /// # Errors
    /// As for `evaluate`, and if the model and the loss do not fit together.
    fn evaluate_by<Kind>(
        &self,
        loss: &impl Loss<f32>,
        data: impl IntoSamples<Kind>,
    ) -> Result<Evaluation, TrainError>;

    /// The outputs for all pictures of a set, \[N, O\].
    ///
    /// # Errors
    /// If the set is empty or has other pictures or more classes than the model.
    fn predict_set<'a>(&self, data: impl Into<View<'a>>) -> Result<Array2<f32>, TrainError>;
}

impl Evaluate for Model {
    fn evaluate_by<Kind>(
        &self,
        loss: &impl Loss<f32>,
        data: impl IntoSamples<Kind>,
    ) -> Result<Evaluation, TrainError> {
        let evaluation = data.evaluate(self, loss)?;
        if evaluation.loss.is_finite() {
            Ok(evaluation)
        } else {
            Err(TrainError::Evaluation { loss: evaluation.loss })
        }
    }

    fn predict_set<'a>(&self, data: impl Into<View<'a>>) -> Result<Array2<f32>, TrainError> {
        let data = data.into();
        check_pictures(self, data)?;
        let rows = ArrayView2::from_shape((data.len(), data.features()), data.pixels());
        let outputs = self.predict(rows.expect("as many pixels as samples have"));
        data.check_unchanged().map_err(DatasetError::from)?;
        Ok(outputs)
    }
}
