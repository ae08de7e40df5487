//! Initializers of weights.

mod config;
mod orthogonal;
#[cfg(test)]
mod tests;

use std::fmt::{self, Display};
use std::str::FromStr;

use ziffer_tensor::NoMemory;
use ziffer_tensor::random::Stream;

use crate::layer::LayerError;

/// An initializer, as Keras's of the same name (`keras/src/initializers/`).
///
/// fan_in and fan_out of a weight are defined below the table.
///
/// | name | arguments | elements | source |
/// |---|---|---|---|
/// | zeros | - | 0 | Keras's default for a bias |
/// | ones | - | 1 | Keras's default for a gamma |
/// | constant | value 0 | value | - |
/// | random_normal | mean 0, stddev 0.05 | normal | - |
/// | random_uniform | minval -0.05, maxval 0.05 | uniform from minval to maxval | - |
/// | truncated_normal | mean 0, stddev 0.05 | normal, drawn again beyond mean ± 2 stddev | - |
/// | variance_scaling | scale 1, mode fan_in, distribution truncated_normal | mean 0, variance scale / n | He et al. 2015 |
/// | glorot_uniform, glorot_normal | - | mean 0, variance 2 / (fan_in + fan_out) | Glorot and Bengio 2010 |
/// | he_uniform, he_normal | - | mean 0, variance 2 / fan_in | He et al. 2015 |
/// | lecun_uniform, lecun_normal | - | mean 0, variance 1 / fan_in | LeCun et al. 1998, Klambauer et al. 2017 |
/// | orthogonal | gain 1 | gain Q, where Q has orthonormal columns or rows | Saxe et al. 2014 |
/// | identity | gain 1 | gain where both indices are equal, else 0 | Le, Jaitly and Hinton 2015 |
///
/// * The names with `uniform` from glorot on draw from \[-L, L\] with L = sqrt(3 variance). Those with `normal` draw from a
///   normal distribution that is truncated at two standard deviations. Its standard deviation is larger by 1 / 0.8796, so that the
///   variance after truncation is the one in the table. random_normal is not truncated. truncated_normal is, so its variance is
///   0.7737 stddev².
/// * variance_scaling does the same: n is fan_in, fan_out or, with fan_avg, their mean, each at least 1. [`Distribution`] is the
///   distribution. The glorot, he and lecun initializers are variance_scaling with certain arguments.
/// * A matrix \[I, O\] has fan_in I and fan_out O, a vector \[N\] has N for both. A weight with more axes has those of its
///   last two, each times the product of all other sizes.
/// * orthogonal treats a weight as a matrix whose columns are the last axis. Q comes from the QR decomposition of a random normal
///   matrix, with the signs of R's diagonal, so that all such matrices are equally likely. If there are more columns than rows,
///   the rows are orthonormal. The weight must have at least two axes.
/// * identity is for matrices, square or not.
///
/// `FromStr` accepts Keras's class names (`"HeNormal"`), lower-case names (`"he_normal"`) and aliases (`"normal"`, `"uniform"`,
/// `"zero"`, `"one"`), with default arguments.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
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
    /// One number everywhere.
    Constant {
        /// The number, finite as `f32`.
        value: f64,
    },
    /// Normal.
    RandomNormal {
        /// The mean, finite as `f32`.
        mean: f64,
        /// The standard deviation, at least 0 and finite as `f32`.
        stddev: f64,
    },
    /// Uniform.
    RandomUniform {
        /// The least number, finite as `f32`.
        minval: f64,
        /// The largest number, at least `minval` and finite as `f32`.
        maxval: f64,
    },
    /// Normal, truncated at two standard deviations from the mean.
    TruncatedNormal {
        /// The mean, finite as `f32`.
        mean: f64,
        /// The standard deviation before truncation, at least 0 and finite as `f32`.
        stddev: f64,
    },
    /// A variance that depends on the weight's shape.
    VarianceScaling {
        /// The variance times n, above 0 and finite as `f32`.
        scale: f64,
        /// The definition of n.
        mode: FanMode,
        /// The distribution.
        distribution: Distribution,
    },
    /// Orthonormal columns, or rows if there are fewer rows than columns.
    Orthogonal {
        /// The factor, finite as `f32`.
        gain: f64,
    },
    /// The identity matrix.
    Identity {
        /// The factor, finite as `f32`.
        gain: f64,
    },
}

/// The number that [`Initializer::VarianceScaling`] divides by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FanMode {
    /// The inputs, `"fan_in"`.
    #[default]
    FanIn,
    /// The outputs, `"fan_out"`.
    FanOut,
    /// The mean of both, `"fan_avg"`.
    FanAvg,
}

/// The distribution of [`Initializer::VarianceScaling`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Distribution {
    /// A normal distribution, truncated at two standard deviations: `"truncated_normal"`.
    #[default]
    TruncatedNormal,
    /// A normal distribution, `"untruncated_normal"`.
    UntruncatedNormal,
    /// A uniform distribution, `"uniform"`.
    Uniform,
}

impl FanMode {
    const ALL: [Self; 3] = [Self::FanIn, Self::FanOut, Self::FanAvg];

    /// Keras's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::FanIn => "fan_in",
            Self::FanOut => "fan_out",
            Self::FanAvg => "fan_avg",
        }
    }

    fn of(self, shape: &[usize]) -> f64 {
        let (inputs, outputs) = fans(shape);
        let fan = match self {
            Self::FanIn => inputs,
            Self::FanOut => outputs,
            Self::FanAvg => (inputs + outputs) / 2.0,
        };
        fan.max(1.0)
    }
}

impl Distribution {
    const ALL: [Self; 3] = [Self::TruncatedNormal, Self::UntruncatedNormal, Self::Uniform];

    /// Keras's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::TruncatedNormal => "truncated_normal",
            Self::UntruncatedNormal => "untruncated_normal",
            Self::Uniform => "uniform",
        }
    }
}

/// The numbers of inputs and outputs of a weight, as Keras's `compute_fans`.
fn fans(shape: &[usize]) -> (f64, f64) {
    match *shape {
        [] => (1.0, 1.0),
        [size] => (size as f64, size as f64),
        [ref field @ .., inputs, outputs] => {
            let field: f64 = field.iter().map(|&size| size as f64).product();
            (field * inputs as f64, field * outputs as f64)
        }
    }
}

/// The standard deviation of a standard normal distribution truncated at two.
const TRUNCATED_DEVIATION: f64 = 0.879_625_661_034_239_8;

/// A generator of a weight's elements, in C order.
type Elements<'a> = Box<dyn FnMut() -> f64 + 'a>;

impl Initializer {
    /// All initializers, with default arguments.
    pub const ALL: [Self; 15] = [
        Self::GlorotUniform,
        Self::GlorotNormal,
        Self::HeUniform,
        Self::HeNormal,
        Self::LecunUniform,
        Self::LecunNormal,
        Self::Zeros,
        Self::Ones,
        Self::Constant { value: 0.0 },
        Self::RandomNormal { mean: 0.0, stddev: 0.05 },
        Self::RandomUniform { minval: -0.05, maxval: 0.05 },
        Self::TruncatedNormal { mean: 0.0, stddev: 0.05 },
        Self::VarianceScaling {
            scale: 1.0,
            mode: FanMode::FanIn,
            distribution: Distribution::TruncatedNormal,
        },
        Self::Orthogonal { gain: 1.0 },
        Self::Identity { gain: 1.0 },
    ];

    /// Keras's name: `"glorot_uniform"`.
    pub fn name(self) -> &'static str {
        self.names().0
    }

    /// Keras's class: `"GlorotUniform"`.
    pub fn class_name(self) -> &'static str {
        self.names().1
    }

    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::GlorotUniform => ("glorot_uniform", "GlorotUniform"),
            Self::GlorotNormal => ("glorot_normal", "GlorotNormal"),
            Self::HeUniform => ("he_uniform", "HeUniform"),
            Self::HeNormal => ("he_normal", "HeNormal"),
            Self::LecunUniform => ("lecun_uniform", "LecunUniform"),
            Self::LecunNormal => ("lecun_normal", "LecunNormal"),
            Self::Zeros => ("zeros", "Zeros"),
            Self::Ones => ("ones", "Ones"),
            Self::Constant { .. } => ("constant", "Constant"),
            Self::RandomNormal { .. } => ("random_normal", "RandomNormal"),
            Self::RandomUniform { .. } => ("random_uniform", "RandomUniform"),
            Self::TruncatedNormal { .. } => ("truncated_normal", "TruncatedNormal"),
            Self::VarianceScaling { .. } => ("variance_scaling", "VarianceScaling"),
            Self::Orthogonal { .. } => ("orthogonal", "Orthogonal"),
            Self::Identity { .. } => ("identity", "Identity"),
        }
    }

    /// The initializer of a Keras class, `"GlorotUniform"`, or name, `"glorot_uniform"`, with default arguments.
    pub(crate) fn by_class_or_name(text: &str) -> Option<Self> {
        let name = match text {
            "normal" => "random_normal",
            "uniform" => "random_uniform",
            "zero" => "zeros",
            "one" => "ones",
            // Former names of these classes in Keras.
            "OrthogonalInitializer" | "orthogonal_initializer" => "orthogonal",
            "IdentityInitializer" | "identity_initializer" => "identity",
            text => text,
        };
        let is_it = |initializer: &Self| {
            name == initializer.name() || name.eq_ignore_ascii_case(initializer.class_name())
        };
        Self::ALL.into_iter().find(is_it)
    }

    /// Checks the arguments, and that the initializer fits a weight of `shape`.
    ///
    /// # Errors
    /// If an argument is out of range, if a weight for [`Orthogonal`](Self::Orthogonal) has fewer than two axes, or if a weight
    /// for [`Identity`](Self::Identity) does not have two.
    pub fn check(self, shape: &[usize]) -> Result<(), LayerError> {
        self.check_arguments()?;
        match self {
            Self::Orthogonal { .. } if shape.len() < 2 => {
                Err(format!("{self} takes at least 2 axes, found shape {shape:?}").into())
            }
            Self::Identity { .. } if shape.len() != 2 => {
                Err(format!("{self} takes 2 axes, found shape {shape:?}").into())
            }
            _ => Ok(()),
        }
    }

    /// A generator of the elements of a weight of `shape`, in C order, with random numbers of `stream`.
    ///
    /// # Errors
    /// If there is not enough memory for the matrix of [`Orthogonal`](Self::Orthogonal), which is generated as a whole.
    ///
    /// # Panics
    /// If [`check`](Self::check) fails.
    pub fn draw<'a>(self, shape: &[usize], stream: &'a mut Stream) -> Result<Elements<'a>, NoMemory> {
        if let Err(problem) = self.check(shape) {
            panic!("{problem}");
        }
        let scaled = |scale: f64, mode: FanMode, distribution: Distribution, stream| {
            let variance = scale / mode.of(shape);
            match distribution {
                Distribution::Uniform => from_uniform((3.0 * variance).sqrt(), stream),
                Distribution::TruncatedNormal => {
                    from_truncated_normal(variance.sqrt() / TRUNCATED_DEVIATION, stream)
                }
                Distribution::UntruncatedNormal => {
                    let deviation = variance.sqrt();
                    Box::new(move || stream.normal() * deviation)
                }
            }
        };
        Ok(match self {
            Self::Zeros => Box::new(|| 0.0),
            Self::Ones => Box::new(|| 1.0),
            Self::Constant { value } => Box::new(move || value),
            Self::RandomNormal { mean, stddev } => Box::new(move || mean + stream.normal() * stddev),
            Self::RandomUniform { minval, maxval } => {
                Box::new(move || minval + (maxval - minval) * stream.uniform())
            }
            Self::TruncatedNormal { mean, stddev } => {
                Box::new(move || mean + stream.truncated_normal() * stddev)
            }
            Self::VarianceScaling { scale, mode, distribution } => scaled(scale, mode, distribution, stream),
            Self::GlorotUniform => scaled(1.0, FanMode::FanAvg, Distribution::Uniform, stream),
            Self::GlorotNormal => scaled(1.0, FanMode::FanAvg, Distribution::TruncatedNormal, stream),
            Self::HeUniform => scaled(2.0, FanMode::FanIn, Distribution::Uniform, stream),
            Self::HeNormal => scaled(2.0, FanMode::FanIn, Distribution::TruncatedNormal, stream),
            Self::LecunUniform => scaled(1.0, FanMode::FanIn, Distribution::Uniform, stream),
            Self::LecunNormal => scaled(1.0, FanMode::FanIn, Distribution::TruncatedNormal, stream),
            Self::Orthogonal { gain } => {
                let (columns, rows) = shape.split_last().expect("at least two axes");
                let mut elements = orthogonal::elements(rows.iter().product(), *columns, stream)?;
                Box::new(move || gain * elements())
            }
            Self::Identity { gain } => {
                let columns = shape[1];
                let mut places =
                    (0..shape[0]).flat_map(move |row| (0..columns).map(move |column| row == column));
                Box::new(move || if places.next() == Some(true) { gain } else { 0.0 })
            }
        })
    }
}

fn from_uniform(limit: f64, stream: &mut Stream) -> Elements<'_> {
    Box::new(move || (2.0 * stream.uniform() - 1.0) * limit)
}

fn from_truncated_normal(deviation: f64, stream: &mut Stream) -> Elements<'_> {
    Box::new(move || stream.truncated_normal() * deviation)
}

/// Prints Keras's name, without arguments.
impl Display for Initializer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Initializer {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        Self::by_class_or_name(name)
            .ok_or_else(|| format!("unknown initializer {name:?}, expected one of {}", known_names()))
    }
}

/// The names of all initializers in alphabetical order, for messages.
fn known_names() -> String {
    let mut names = Initializer::ALL.map(Initializer::name);
    names.sort_unstable();
    names.join(", ")
}
