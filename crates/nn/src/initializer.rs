//! How weights start.

mod config;
mod orthogonal;
#[cfg(test)]
mod tests;

use std::fmt::{self, Display};
use std::str::FromStr;

use ziffer_tensor::NoMemory;
use ziffer_tensor::random::Stream;

use crate::layer::LayerError;

/// An initialiser, as Keras's of the same name (`keras/src/initializers/`).
///
/// With fan_in and fan_out of the weight, of which more below:
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
/// | orthogonal | gain 1 | gain Q, Q of orthonormal columns or rows | Saxe et al. 2014 |
/// | identity | gain 1 | gain where both indices are equal, else 0 | Le, Jaitly and Hinton 2015 |
///
/// * The names with `uniform` from glorot on draw from \[-L, L\] with L = sqrt(3 variance). Those with `normal` draw a normal that
///   is cut off at two standard deviations, from a wider one, by 1 / 0.8796, to have the variance after the cut.
///   random_normal is not cut off; truncated_normal is, and its variance is 0.7737 stddev² therefore.
/// * variance_scaling does the same: n is fan_in, fan_out or, with fan_avg, their mean, each of at least 1, and
///   [`Distribution`] says which of the three. The glorot, he and lecun ones are variance_scaling of some arguments.
/// * A matrix \[I, O\] has fan_in I and fan_out O, a vector \[N\] has N for both, and a weight of more axes has those of its
///   last two, each times the product of all other sizes.
/// * orthogonal sees a weight as the matrix of as many columns as its last axis has. Q comes from the QR decomposition of a
///   normal matrix, with the signs of R's diagonal, so that all such matrices are equally likely. Of a matrix with more
///   columns than rows the rows are orthonormal. A weight of less than two axes cannot have it.
/// * identity is for matrices, square or not.
///
/// As text there are Keras's names of each, of the class (`"HeNormal"`) and in lower case (`"he_normal"`), and Keras's other names
/// (`"normal"`, `"uniform"`, `"zero"`, `"one"`), with the arguments' defaults.
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
    /// Normal, cut off at two standard deviations from the mean.
    TruncatedNormal {
        /// The mean, finite as `f32`.
        mean: f64,
        /// The standard deviation before the cut, at least 0 and finite as `f32`.
        stddev: f64,
    },
    /// A variance that depends on the weight's shape.
    VarianceScaling {
        /// The variance times n, above 0 and finite as `f32`.
        scale: f64,
        /// What n is.
        mode: FanMode,
        /// What is drawn from.
        distribution: Distribution,
    },
    /// Orthonormal columns, or rows where there are fewer of them.
    Orthogonal {
        /// What they are multiplied by, finite as `f32`.
        gain: f64,
    },
    /// The identity matrix.
    Identity {
        /// What it is multiplied by, finite as `f32`.
        gain: f64,
    },
}

/// Which number of a weight's inputs and outputs [`Initializer::VarianceScaling`] divides by.
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

/// What [`Initializer::VarianceScaling`] draws from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Distribution {
    /// A normal distribution that is cut off at two standard deviations, `"truncated_normal"`.
    #[default]
    TruncatedNormal,
    /// A normal distribution, `"untruncated_normal"`.
    UntruncatedNormal,
    /// A uniform distribution, `"uniform"`.
    Uniform,
}

impl FanMode {
    const ALL: [Self; 3] = [Self::FanIn, Self::FanOut, Self::FanAvg];

    /// Keras's name of it.
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

    /// Keras's name of it.
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

/// The standard deviation of a standard normal cut off at two.
const TRUNCATED_DEVIATION: f64 = 0.879_625_661_034_239_8;

/// A source of a weight's elements, in C order.
type Elements<'a> = Box<dyn FnMut() -> f64 + 'a>;

impl Initializer {
    /// All of them, with the arguments' defaults.
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

    /// Keras's name of it: `"glorot_uniform"`.
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

    /// The one of Keras's class, `"GlorotUniform"`, or name, `"glorot_uniform"`, with the arguments' defaults.
    pub(crate) fn by_class_or_name(text: &str) -> Option<Self> {
        let name = match text {
            "normal" => "random_normal",
            "uniform" => "random_uniform",
            "zero" => "zeros",
            "one" => "ones",
            // Keras's classes of both names have been called this.
            "OrthogonalInitializer" | "orthogonal_initializer" => "orthogonal",
            "IdentityInitializer" | "identity_initializer" => "identity",
            text => text,
        };
        let is_it = |initializer: &Self| {
            name == initializer.name() || name.eq_ignore_ascii_case(initializer.class_name())
        };
        Self::ALL.into_iter().find(is_it)
    }

    /// Checks the arguments, and that a weight of `shape` can start so.
    ///
    /// # Errors
    /// An argument out of its range, a weight of less than two axes for [`Orthogonal`](Self::Orthogonal), and of any but two for
    /// [`Identity`](Self::Identity).
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

    /// A source of the elements, in C order, of a weight of `shape`, drawn from `stream`.
    ///
    /// # Errors
    /// If there is no memory for the matrix of [`Orthogonal`](Self::Orthogonal), which is drawn as a whole.
    ///
    /// # Panics
    /// If [`check`](Self::check) refuses the shape.
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

/// Keras's name of it, without arguments.
impl Display for Initializer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Initializer {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        Self::by_class_or_name(name)
            .ok_or_else(|| format!("unknown initializer {name:?}, expected one of {}", config::known()))
    }
}
