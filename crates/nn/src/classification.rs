//! The classes that a model's outputs stand for.

use std::borrow::Cow;

use ziffer_tensor::{Scalar, reduce};

use crate::model::Model;

/// The probability of each class, given a model's outputs for one sample.
///
/// Several outputs, as of a softmax, are the probabilities themselves. A single output, as of a sigmoid, is the probability p of class
/// 1 of two classes, whose probabilities are 1 - p and p.
///
/// ```
/// use ziffer_nn::class_probabilities;
/// assert_eq!(*class_probabilities(&[0.75_f32]), [0.25, 0.75]);
/// assert_eq!(*class_probabilities(&[0.2_f32, 0.7, 0.1]), [0.2, 0.7, 0.1]);
/// ```
pub fn class_probabilities<T: Scalar>(outputs: &[T]) -> Cow<'_, [T]> {
    match outputs {
        &[p] => Cow::Owned(vec![T::one() - p, p]),
        outputs => Cow::Borrowed(outputs),
    }
}

/// The class with the largest of [`class_probabilities`], the first of equals: class 1 of two if a single output is above 1/2.
///
/// ```
/// use ziffer_nn::predicted_class;
/// assert_eq!([predicted_class(&[0.75_f32]), predicted_class(&[0.5_f32])], [1, 0]);
/// assert_eq!(predicted_class(&[0.2_f32, 0.7, 0.1]), 1);
/// ```
pub fn predicted_class<T: Scalar>(outputs: &[T]) -> usize {
    match outputs {
        [p] => usize::from(*p > T::from_f64(0.5)),
        outputs => reduce::argmax(outputs),
    }
}

impl<T: Scalar> Model<T> {
    /// The number of classes that the outputs distinguish: two if there is a single output, otherwise one per output.
    pub fn classes(&self) -> usize {
        match self.outputs() {
            1 => 2,
            outputs => outputs,
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::arr2;

    use super::*;
    use crate::{Activation, Sequential};

    #[test]
    fn the_predicted_class_has_the_largest_probability() {
        let around_half = [0.5_f32.next_down(), 0.5, 0.5_f32.next_up()];
        let single = [0.0, f32::MIN_POSITIVE, 1e-9, 0.3, 0.7, 1.0_f32.next_down(), 1.0, f32::NAN];
        for p in single.into_iter().chain(around_half) {
            let probabilities = class_probabilities(&[p]).into_owned();
            assert_eq!(probabilities.len(), 2);
            assert_eq!(predicted_class(&[p]), reduce::argmax(&probabilities), "{p}");
        }
        assert_eq!(around_half.map(|p| predicted_class(&[p])), [0, 0, 1]);
        let several = [0.3_f32, 0.4, 0.4];
        assert_eq!((predicted_class(&several), &*class_probabilities(&several)), (1, &several[..]));
    }

    #[test]
    fn a_sigmoid_unit_distinguishes_two_classes() {
        let mut model = Sequential::new([2]).dense(1, Activation::Sigmoid).build(0).unwrap();
        model.set_weight("dense.kernel", arr2(&[[2.0], [-2.0]]).view()).unwrap();
        let x = arr2(&[[1.0_f32, 0.0], [0.0, 1.0], [1.0, 1.0]]);
        assert_eq!((model.outputs(), model.classes()), (1, 2));
        assert_eq!(model.classify(x.view()), [1, 0, 0]);
        let y = model.predict(x.view());
        for (row, class) in y.rows().into_iter().zip([1, 0, 0]) {
            assert_eq!(predicted_class(row.as_slice().unwrap()), class);
        }
        let softmax = Sequential::new([2]).dense(3, Activation::Softmax).build(0).unwrap();
        assert_eq!(softmax.classes(), 3);
    }
}
