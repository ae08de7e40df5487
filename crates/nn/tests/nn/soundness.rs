//! Layers, optimizers, sample values and samples that violate their contracts: each causes a panic with the layer's name, or an
//! error, on any number of threads. No thread hangs, and the team remains usable.

mod channels;
mod faulty_layer;
mod harness;
mod layers;
mod optimizers;
mod samples;
mod targets;
mod trainings;
