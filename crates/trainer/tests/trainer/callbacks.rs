//! Keras's callbacks in trainings: their effects, the results of killed and resumed trainings, and their errors.

mod early_stopping;
mod files;
mod harness;
mod learning_rates;
mod messages;
mod not_finite;
mod states;
