//! Layers, initialisers, losses, optimizers and the sequential model, with checked gradients.
