//! Optimizers, by Keras's names, formulas and defaults.
//!
//! Some arguments of Keras's optimizers are settings of a training here, the same for every optimizer:
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
mod any;
mod clip;
mod lion;
mod nadam;
mod rmsprop;
pub mod schedule;
mod sgd;

use std::fmt::Debug;

use ziffer_tensor::{Scalar, update};

pub use adam::{Adam, AdamW};
pub use any::AnyOptimizer;
pub use clip::Clip;
pub use lion::Lion;
pub use nadam::Nadam;
pub use rmsprop::RmsProp;
pub use schedule::{AnySchedule, LearningRateSchedule};
pub use sgd::Sgd;

/// An optimizer: the rule by which a gradient changes the weights.
///
/// An optimizer does not store its state. [`Training`](crate::Training) stores one block of numbers per weight for each of
/// [`state_names`](Self::state_names), all zero at first. [`update`](Self::update) changes weights and state together, one slice
/// at a time, on the thread that owns the slice.
pub trait Optimizer<T: Scalar>: Clone + Debug + Send + Sync {
    /// The numbers that all updates of one step share.
    type Step: Copy + Debug + Send + Sync;

    /// Keras's name of the optimizer: `"adam"`.
    fn name(&self) -> &'static str;

    /// The names of the optimizer's states, at most [`MAX_STATES`]. Each state has one number per weight.
    fn state_names(&self) -> &'static [&'static str];

    /// Checks the settings.
    ///
    /// # Errors
    /// The first setting that is out of range, with its value and the range.
    fn validate(&self) -> Result<(), SettingError>;

    /// The learning rate of the settings. Schedules and callbacks may use other rates.
    fn learning_rate(&self) -> f64;

    /// Prepares step number `iteration`, counted from 1, at this learning rate.
    fn step(&self, iteration: u64, learning_rate: f64) -> Self::Step;

    /// Updates the weights `w` and their `state` by the gradient `g`. All slices have the same length.
    fn update(step: &Self::Step, w: &mut [T], state: &mut [&mut [T]], g: &[T]);

    /// The step of Adam, if [`update`](Self::update) is [`update::adam`] with the states m and v. Gradient and update are then
    /// computed together. By default `None`.
    fn as_adam(step: &Self::Step) -> Option<update::Adam<T>> {
        let _ = step;
        None
    }
}

/// The largest number of states that an optimizer may have.
pub const MAX_STATES: usize = 4;

/// A setting is out of range.
#[derive(Clone, PartialEq, thiserror::Error)]
#[error("{optimizer}: {setting} is {value}, expected {expected}")]
pub struct SettingError {
    /// The optimizer's name.
    pub optimizer: &'static str,
    /// The setting's name.
    pub setting: &'static str,
    /// The value found.
    pub value: f64,
    /// The values allowed.
    pub expected: &'static str,
}

ziffer_base::debug_as_message!(SettingError);

/// Returns an error unless `holds`. The condition must be false for NaN.
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

fn require_below_1(optimizer: &'static str, setting: &'static str, value: f64) -> Result<(), SettingError> {
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
