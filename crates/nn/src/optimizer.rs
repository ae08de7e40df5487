//! Optimizers, by Keras's names, formulas and defaults.
//!
//! What Keras's optimizers have as arguments besides is a setting of a training here, the same for every optimizer:
//!
//! | Keras | [`Training`](crate::Training) | `ziffer_trainer::Trainer` |
//! |---|---|---|
//! | `clipvalue=c` | `clip(Clip::Value(c))` | the same |
//! | `clipnorm=c` | `clip(Clip::Norm(c))` | the same |
//! | `global_clipnorm=c` | `clip(Clip::GlobalNorm(c))` | the same |
//! | `use_ema=True, ema_momentum=m` (0.99) | `ema(m)`, `swap_average` | `ema(m)` |
//! | `ema_overwrite_frequency=None` | the weights are not overwritten in training | the same |
//! | `gradient_accumulation_steps=n` | `accumulation(n)` | the same |
//! | `learning_rate=schedule` | `set_schedule` | `schedule(schedule)` |

mod adam;
mod choice;
mod clip;
mod lion;
mod nadam;
mod rmsprop;
pub mod schedule;
mod sgd;

use std::fmt::Debug;

use ziffer_tensor::{Scalar, update};

pub use adam::{Adam, AdamW};
pub use choice::AnyOptimizer;
pub use clip::Clip;
pub use lion::Lion;
pub use nadam::Nadam;
pub use rmsprop::RmsProp;
pub use schedule::{AnySchedule, LearningRateSchedule};
pub use sgd::Sgd;

/// An optimizer: how a gradient moves the weights.
///
/// It keeps no state of its own. The training step owns, for each weight, as many numbers more as there are
/// [`slots`](Self::slots), starts them at zero, and has them updated with the weights, a slice at a time, on the thread
/// that owns the slice.
pub trait Optimizer<T: Scalar>: Clone + Debug + Send + Sync {
    /// What the updates of one step have in common.
    type Step: Copy + Debug + Send + Sync;

    /// Keras's name of it: `"adam"`.
    fn name(&self) -> &'static str;

    /// The names of the state that it needs for each weight; at most [`MAX_SLOTS`].
    fn slots(&self) -> &'static [&'static str];

    /// Checks the settings.
    ///
    /// # Errors
    /// The first that is out of range, with its value and the range.
    fn validate(&self) -> Result<(), SettingError>;

    /// The rate that the settings say. Schedules and callbacks may have steps made at other rates.
    fn learning_rate(&self) -> f64;

    /// Prepares step number `iteration`, from 1, at this rate.
    fn step(&self, iteration: u64, learning_rate: f64) -> Self::Step;

    /// Updates the weights `w` and their slots by the gradient `g`, all of one length.
    fn update(step: &Self::Step, w: &mut [T], slots: &mut [&mut [T]], g: &[T]);

    /// The step, if [`update`](Self::update) is [`update::adam`] with the slots m and v: then gradients and updates can be
    /// one computation. By default it is not.
    fn as_adam(step: &Self::Step) -> Option<update::Adam<T>> {
        let _ = step;
        None
    }
}

/// The most slots that an optimizer may have.
pub const MAX_SLOTS: usize = 4;

/// A setting that is out of its range.
#[derive(Clone, PartialEq, thiserror::Error)]
#[error("{optimizer}: {setting} is {value}, expected {expected}")]
pub struct SettingError {
    /// The optimizer's name.
    pub optimizer: &'static str,
    /// The setting's name.
    pub setting: &'static str,
    /// What it was.
    pub value: f64,
    /// What it may be.
    pub expected: &'static str,
}

ziffer_base::debug_as_message!(SettingError);

/// Passes if `holds`, which must be written so that it does not for NaN.
pub(crate) fn require(
    optimizer: &'static str,
    setting: &'static str,
    value: f64,
    expected: &'static str,
    holds: bool,
) -> Result<(), SettingError> {
    if holds { Ok(()) } else { Err(SettingError { optimizer, setting, value, expected }) }
}

fn require_learning_rate(optimizer: &'static str, value: f64) -> Result<(), SettingError> {
    require(optimizer, "learning_rate", value, "a positive number", value > 0.0 && value.is_finite())
}

fn require_share(optimizer: &'static str, setting: &'static str, value: f64) -> Result<(), SettingError> {
    require(optimizer, setting, value, "a number from 0 to below 1", (0.0..1.0).contains(&value))
}

fn require_not_negative(
    optimizer: &'static str,
    setting: &'static str,
    value: f64,
) -> Result<(), SettingError> {
    require(optimizer, setting, value, "a number of at least 0", value >= 0.0 && value.is_finite())
}

/// beta^n by repeated squaring: unlike `powi`, the same bits everywhere.
fn power(beta: f64, mut n: u64) -> f64 {
    let (mut result, mut square) = (1.0, beta);
    while n > 0 {
        if n & 1 == 1 {
            result *= square;
        }
        square *= square;
        n >>= 1;
    }
    result
}
