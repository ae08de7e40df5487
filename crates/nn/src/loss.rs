//! Losses and what is counted as right.

use std::fmt::Debug;

use ziffer_tensor::{Scalar, reduce, softmax};

/// What a sample's output should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target<'a, T> {
    /// A class, from 0.
    Class(usize),
    /// One value for each output.
    Values(&'a [T]),
}

impl<T: Scalar> Target<'_, T> {
    /// What output `o` should be; a class is one-hot.
    fn value(&self, o: usize) -> T {
        match self {
            Self::Class(class) if *class == o => T::one(),
            Self::Class(_) => T::zero(),
            Self::Values(values) => values[o],
        }
    }

    /// Whether the output counts as right, by the accuracy that Keras chooses for the shapes: the largest output is the
    /// class, or stands where the largest target does; a single output lies on the same side of 1/2 as its target.
    pub fn is_hit(&self, output: &[T]) -> bool {
        match self {
            Self::Class(class) => reduce::argmax(output) == *class,
            Self::Values([value]) => (output[0] > T::from_f64(0.5)) == (*value > T::from_f64(0.5)),
            Self::Values(values) => reduce::argmax(output) == reduce::argmax(values),
        }
    }
}

/// A loss of one sample; a batch's is the mean of its samples'.
pub trait Loss<T: Scalar>: Debug + Send + Sync {
    /// Keras's name of it.
    fn name(&self) -> &'static str;

    /// Whether it is computed from the logits where a model ends in a softmax.
    fn takes_logits(&self) -> bool {
        false
    }

    /// Whether it needs a model that ends in a softmax.
    fn needs_softmax(&self) -> bool {
        false
    }

    /// The sample's loss.
    fn value(&self, output: &[T], target: Target<'_, T>) -> T;

    /// The sample's loss; writes `scale` times the gradient by the output to `d`.
    fn backward(&self, output: &[T], target: Target<'_, T>, scale: T, d: &mut [T]) -> T;
}

/// Cross-entropy between a class and a softmax, in nats, computed from the logits z as TensorFlow's backend of Keras
/// does: loss = -log softmax(z)_class, d_z = softmax(z) - onehot(class). Nothing is clipped.
///
/// It needs a model that ends in a softmax, unless [`from_logits`](Self::from_logits) is set.
#[derive(Clone, Copy, Debug, Default)]
pub struct SparseCategoricalCrossentropy {
    /// Whether the model's outputs are logits already, so that it need not end in a softmax.
    pub from_logits: bool,
}

impl SparseCategoricalCrossentropy {
    fn class<T>(target: Target<'_, T>) -> usize {
        match target {
            Target::Class(class) => class,
            Target::Values(_) => panic!("sparse categorical cross-entropy takes a class, not values"),
        }
    }
}

impl<T: Scalar> Loss<T> for SparseCategoricalCrossentropy {
    fn name(&self) -> &'static str {
        "sparse_categorical_crossentropy"
    }

    fn takes_logits(&self) -> bool {
        true
    }

    fn needs_softmax(&self) -> bool {
        !self.from_logits
    }

    /// # Panics
    /// If the target is not one of the output's classes.
    fn value(&self, output: &[T], target: Target<'_, T>) -> T {
        self.backward(output, target, T::one(), &mut vec![T::zero(); output.len()])
    }

    /// # Panics
    /// As for `value`.
    fn backward(&self, output: &[T], target: Target<'_, T>, scale: T, d: &mut [T]) -> T {
        d.copy_from_slice(output);
        softmax::cross_entropy(d, Self::class(target), scale)
    }
}

/// Mean squared error over the outputs of a sample: loss = 1/O sum_o (y_o - t_o)^2, d_y = 2/O (y - t).
///
/// A class as target is taken for its one-hot vector.
#[derive(Clone, Copy, Debug, Default)]
pub struct MeanSquaredError;

impl<T: Scalar> Loss<T> for MeanSquaredError {
    fn name(&self) -> &'static str {
        "mean_squared_error"
    }

    fn value(&self, output: &[T], target: Target<'_, T>) -> T {
        let mut sum = T::zero();
        for (o, &y) in output.iter().enumerate() {
            let error = y - target.value(o);
            sum += error * error;
        }
        sum / T::from_f64(output.len() as f64)
    }

    fn backward(&self, output: &[T], target: Target<'_, T>, scale: T, d: &mut [T]) -> T {
        let factor = scale * T::from_f64(2.0 / output.len() as f64);
        for (o, (d, &y)) in d.iter_mut().zip(output).enumerate() {
            *d = (y - target.value(o)) * factor;
        }
        self.value(output, target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cross_entropy_by_hand() {
        let loss = SparseCategoricalCrossentropy::default();
        // Equal logits: ln 4, and p - onehot.
        let mut d = [0.0; 4];
        let value = Loss::<f64>::backward(&loss, &[7.0; 4], Target::Class(2), 1.0, &mut d);
        assert!((value - 4.0_f64.ln()).abs() < 1e-15);
        assert_eq!(d, [0.25, 0.25, -0.75, 0.25]);
        // A logit far below is not clipped at -log(1e-7) = 16.1.
        assert_eq!(loss.value(&[0.0_f32, -100.0], Target::Class(1)), 100.0);
    }

    #[test]
    fn mean_squared_error_by_hand() {
        let mut d = [0.0; 2];
        let value = MeanSquaredError.backward(&[1.0_f64, 3.0], Target::Values(&[0.0, 1.0]), 0.5, &mut d);
        assert_eq!((value, d), (2.5, [0.5, 1.0]));
        assert_eq!(MeanSquaredError.value(&[0.0_f64, 1.0], Target::Class(1)), 0.0);
    }

    #[test]
    fn hits() {
        assert!(Target::Class(1).is_hit(&[0.1_f32, 0.9]));
        assert!(!Target::Class(1).is_hit(&[0.9_f32, 0.9]));
        assert!(Target::Values(&[0.0_f32, 2.0]).is_hit(&[0.1, 0.9]));
        assert!(Target::Values(&[1.0_f32]).is_hit(&[0.9]) && !Target::Values(&[1.0_f32]).is_hit(&[0.5]));
    }
}
