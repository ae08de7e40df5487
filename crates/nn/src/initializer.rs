//! How weights start.

use std::str::FromStr;

use ziffer_tensor::random::Stream;

/// An initialiser, as Keras's of the same name (`keras/src/initializers/random_initializers.py`).
///
/// All but [`Zeros`](Self::Zeros) and [`Ones`](Self::Ones) draw with mean 0 and a variance that keeps that of the
/// signal from layer to layer. With I inputs and O outputs of the kernel:
///
/// | name | variance | source |
/// |---|---|---|
/// | Glorot | 2 / (I + O) | Glorot and Bengio 2010 |
/// | He | 2 / I | He et al. 2015 |
/// | LeCun | 1 / I | LeCun et al. 1998 |
///
/// A uniform one draws from [-L, L] with L = sqrt(3 variance). A normal one is cut off at two standard deviations, drawn
/// wider by 1 / 0.8796 to have the variance after the cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Initializer {
    /// Keras's default for a kernel.
    #[default]
    GlorotUniform,
    /// Glorot's variance, truncated normal.
    GlorotNormal,
    /// He's variance, uniform.
    HeUniform,
    /// He's variance, truncated normal.
    HeNormal,
    /// LeCun's variance, uniform.
    LecunUniform,
    /// LeCun's variance, truncated normal.
    LecunNormal,
    /// Keras's default for a bias.
    Zeros,
    /// Ones.
    Ones,
}

/// The standard deviation of a standard normal cut off at two.
const TRUNCATED_DEVIATION: f64 = 0.879_625_661_034_239_8;

impl Initializer {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::GlorotUniform,
        Self::GlorotNormal,
        Self::HeUniform,
        Self::HeNormal,
        Self::LecunUniform,
        Self::LecunNormal,
        Self::Zeros,
        Self::Ones,
    ];

    /// Keras's name of it: `"glorot_uniform"`.
    pub fn name(self) -> &'static str {
        match self {
            Self::GlorotUniform => "glorot_uniform",
            Self::GlorotNormal => "glorot_normal",
            Self::HeUniform => "he_uniform",
            Self::HeNormal => "he_normal",
            Self::LecunUniform => "lecun_uniform",
            Self::LecunNormal => "lecun_normal",
            Self::Zeros => "zeros",
            Self::Ones => "ones",
        }
    }

    /// The one of Keras's class, `"GlorotUniform"`, or name, `"glorot_uniform"`.
    pub(crate) fn by_class_or_name(text: &str) -> Option<Self> {
        let is_it = |initializer: &Self| {
            let name = initializer.name();
            text == name || text.to_ascii_lowercase() == name.replace('_', "")
        };
        Self::ALL.into_iter().find(is_it)
    }

    /// A source of elements for a weight of `shape`, drawn from `stream`.
    ///
    /// I is the product of all sizes but the last, O the last, as for a dense kernel.
    pub fn draw<'a>(self, shape: &[usize], stream: &'a mut Stream) -> Box<dyn FnMut() -> f64 + 'a> {
        let outputs = shape.last().copied().unwrap_or(1) as f64;
        let inputs = shape.iter().rev().skip(1).product::<usize>() as f64;
        let uniform = |variance: f64| (3.0 * variance).sqrt();
        let normal = |variance: f64| variance.sqrt() / TRUNCATED_DEVIATION;
        let (glorot, he, lecun) = (2.0 / (inputs + outputs), 2.0 / inputs, 1.0 / inputs);
        match self {
            Self::Zeros => Box::new(|| 0.0),
            Self::Ones => Box::new(|| 1.0),
            Self::GlorotUniform => from_uniform(uniform(glorot), stream),
            Self::HeUniform => from_uniform(uniform(he), stream),
            Self::LecunUniform => from_uniform(uniform(lecun), stream),
            Self::GlorotNormal => from_normal(normal(glorot), stream),
            Self::HeNormal => from_normal(normal(he), stream),
            Self::LecunNormal => from_normal(normal(lecun), stream),
        }
    }
}

fn from_uniform(limit: f64, stream: &mut Stream) -> Box<dyn FnMut() -> f64 + '_> {
    Box::new(move || (2.0 * stream.uniform() - 1.0) * limit)
}

fn from_normal(deviation: f64, stream: &mut Stream) -> Box<dyn FnMut() -> f64 + '_> {
    Box::new(move || stream.truncated_normal() * deviation)
}

impl FromStr for Initializer {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::name).join(", ");
        Self::ALL
            .into_iter()
            .find(|initializer| initializer.name() == name)
            .ok_or_else(|| format!("unknown initializer {name:?}, expected one of {}", known()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ziffer_tensor::random::Purpose;

    #[test]
    fn mean_variance_and_bounds() {
        let shape = [784, 128];
        // Limits of Keras's Glorot uniform, from its formula by hand: sqrt(6 / 912).
        let limits = [
            (Initializer::GlorotUniform, 0.081_110_71, 2.0 / 912.0),
            (Initializer::GlorotNormal, 2.0 * 0.046_829_29 / 0.879_625_66, 2.0 / 912.0),
            (Initializer::HeUniform, 0.087_481_78, 2.0 / 784.0),
            (Initializer::HeNormal, 2.0 * 0.050_507_63 / 0.879_625_66, 2.0 / 784.0),
            (Initializer::LecunUniform, 0.061_858_96, 1.0 / 784.0),
            (Initializer::LecunNormal, 2.0 * 0.035_714_29 / 0.879_625_66, 1.0 / 784.0),
        ];
        for (initializer, limit, variance) in limits {
            let mut stream = Stream::new(3, Purpose::Weights, 0);
            let mut draw = initializer.draw(&shape, &mut stream);
            let drawn: Vec<f64> = (0..100_352).map(|_| draw()).collect();
            let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
            let second = drawn.iter().map(|x| x * x).sum::<f64>() / drawn.len() as f64;
            let largest = drawn.iter().fold(0.0_f64, |largest, x| largest.max(x.abs()));
            assert!(mean.abs() < 5e-4, "{initializer:?}: mean {mean}");
            assert!((second / variance - 1.0).abs() < 0.02, "{initializer:?}: variance {second}, {variance}");
            assert!(
                largest <= limit * 1.000_001 && largest > 0.999 * limit,
                "{initializer:?}: {largest}, {limit}"
            );
        }
    }

    #[test]
    fn names_lead_back() {
        for initializer in Initializer::ALL {
            assert_eq!(initializer.name().parse(), Ok(initializer));
        }
        assert!("glorot".parse::<Initializer>().unwrap_err().contains("glorot_uniform"));
    }
}
