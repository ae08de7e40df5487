//! The data to train and evaluate on: data sets, and samples of any other type.

use ziffer_dataset::{Dataset, DatasetError, View};
use ziffer_nn::{Evaluation, Loss, Model, Optimizer, Samples, Slice};

use crate::validation::{Validation, ValidationSamples};
use crate::{Augmented, DatasetSamples, History, TrainError, Trainer};

/// Data for [`Trainer::fit`], [`Trainer::validation_data`] and [`Evaluate::evaluate`](crate::Evaluate::evaluate).
///
/// It is implemented for `&Dataset`, for a [`View`] of a data set, and for a reference to any [`Samples`]: arrays as
/// [`WithLabels`](ziffer_nn::WithLabels) or [`WithTargets`](ziffer_nn::WithTargets), or a type of your own. The compiler infers
/// `Kind`, which distinguishes these cases.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not data to train or evaluate on",
    note = "pass `&Dataset`, `View`, or `&S` where `S: Samples<f32>`, such as `WithLabels` or `WithTargets`"
)]
pub trait IntoSamples<Kind>: private::IntoSamples<Kind> {}

impl<Kind, D: private::IntoSamples<Kind>> IntoSamples<Kind> for D {}

/// The kind of data sets.
#[derive(Debug)]
pub enum DatasetKind {}

/// The kind of other samples.
#[derive(Debug)]
pub enum SamplesKind {}

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

impl private::IntoSamples<DatasetKind> for View<'_> {
    fn fit<O: Optimizer<f32>, L: Loss<f32>>(
        self,
        trainer: &mut Trainer<'_, O, L>,
        model: &mut Model,
    ) -> Result<History, TrainError> {
        trainer.validate()?;
        check_images(model, self)?;
        let split = trainer.effective_split();
        let (train, validation) = self.split(split)?;
        let shuffle = trainer.shuffle.for_file(train.len(), train.features());
        let train = DatasetSamples(train);
        let train = match trainer.augmentation {
            None => Augmented::plain(&train),
            Some(distortion) => match *self.image_shape() {
                [rows, columns] => Augmented::new(&train, [rows, columns], distortion)?,
                ref shape => return Err(TrainError::NotTwoDimensional { found: shape.to_vec() }),
            },
        };
        let validation = ValidationSamples(DatasetSamples(validation));
        let split_off = (split > 0.0).then_some(&validation as &dyn Validation<L>);
        trainer.fit_shuffled(model, &train, split_off, shuffle)
    }

    fn validation<'a, L: Loss<f32>>(self) -> Box<dyn Validation<L> + 'a>
    where
        Self: 'a,
    {
        Box::new(ValidationSamples(DatasetSamples(self)))
    }

    fn evaluate<L: Loss<f32>>(self, model: &Model, loss: &L) -> Result<Evaluation, TrainError> {
        check_images(model, self)?;
        let evaluation = model.evaluate_with(loss, &DatasetSamples(self))?;
        self.check_unchanged().map_err(DatasetError::from)?;
        Ok(evaluation)
    }
}

impl private::IntoSamples<DatasetKind> for &Dataset {
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

impl<S: Samples<f32>> private::IntoSamples<SamplesKind> for &S {
    fn fit<O: Optimizer<f32>, L: Loss<f32>>(
        self,
        trainer: &mut Trainer<'_, O, L>,
        model: &mut Model,
    ) -> Result<History, TrainError> {
        trainer.validate()?;
        if trainer.augmentation.is_some() {
            // The samples need not be images, and the shape of an image is unknown.
            let expected = "none for samples that are not a data set; pass them as `Augmented`";
            return Err(TrainError::setting("augment", "set", expected));
        }
        let (shuffle, split) = (trainer.shuffle, trainer.effective_split());
        if split == 0.0 {
            return trainer.fit_shuffled(model, self, None, shuffle);
        }
        let samples = self.len();
        let end = (samples as f64 * (1.0 - split)).floor() as usize;
        if end == 0 || end == samples {
            let expected = "a fraction that leaves samples for training and for validation";
            return Err(TrainError::setting("validation_split", split, expected));
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

impl<'a, O: Optimizer<f32>, L: Loss<f32>> Trainer<'a, O, L> {
    /// Sets the validation set, instead of a [`validation_split`](Self::validation_split).
    pub fn validation_data<Kind, D: IntoSamples<Kind> + 'a>(mut self, data: D) -> Self {
        self.validation = Some(data.validation());
        self
    }

    /// Trains `model` on a data set or on any samples. Training starts from the model's current weights, and from the optimizer's
    /// first step in each call. All targets are checked before the first step.
    ///
    /// # Errors
    /// If a setting is out of range, the data do not fit the model or cannot be augmented, a loss is not finite, or a callback
    /// fails.
    pub fn fit<Kind>(
        &mut self,
        model: &mut Model,
        data: impl IntoSamples<Kind>,
    ) -> Result<History, TrainError> {
        data.fit(self, model)
    }
}

/// Checks that a model's input and output fit the images and the classes of a data set.
pub(crate) fn check_images(model: &Model, data: View<'_>) -> Result<(), TrainError> {
    if data.is_empty() {
        return Err(TrainError::Empty);
    }
    if model.inputs() != data.features() {
        return Err(TrainError::ImageShape {
            found: data.image_shape().to_vec(),
            expected: model.input_shape().to_vec(),
        });
    }
    if model.outputs() < data.classes() {
        return Err(TrainError::Classes { found: data.classes(), expected: model.outputs() });
    }
    Ok(())
}
