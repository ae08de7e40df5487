//! Shared by the Rust peers: the command line, MNIST's IDX files, random numbers, and the line with the result.

use std::error::Error;
use std::path::{Path, PathBuf};

use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

/// Samples to train on. The last tenth of the training set is the validation set.
pub const TRAIN: usize = 54_000;
pub const BATCH: usize = 32;
pub const EPOCHS: usize = 5;
pub const PIXELS: usize = 784;
/// Inputs and units of each layer.
pub const LAYERS: [(usize, usize); 3] = [(PIXELS, 128), (128, 64), (64, 10)];

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The peer's command line.
pub struct Arguments {
    pub data: PathBuf,
    pub threads: usize,
    pub seed: u64,
}

impl Arguments {
    pub fn parse() -> Result<Self> {
        let mut arguments = Self { data: PathBuf::new(), threads: 1, seed: 0 };
        let mut words = std::env::args().skip(1);
        while let Some(name) = words.next() {
            let value = words.next().ok_or_else(|| format!("{name}: expected a value"))?;
            match name.as_str() {
                "--data" => arguments.data = value.into(),
                "--threads" => arguments.threads = value.parse()?,
                "--seed" => arguments.seed = value.parse()?,
                _ => return Err(format!("{name}: unknown flag").into()),
            }
        }
        Ok(arguments)
    }
}

/// The images of a split ("train" or "t10k") as rows from 0 to 1, and their labels.
pub fn split(folder: &Path, name: &str) -> Result<(Vec<f32>, Vec<u8>)> {
    let body = |file: String, header: usize| {
        let path = folder.join(file);
        let mut bytes = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        bytes.drain(..header);
        Ok::<_, String>(bytes)
    };
    let images = body(format!("{name}-images-idx3-ubyte"), 16)?;
    let labels = body(format!("{name}-labels-idx1-ubyte"), 8)?;
    Ok((images.into_iter().map(|pixel| f32::from(pixel) / 255.0).collect(), labels))
}

/// The random numbers of initial weights and orders.
pub struct Random(SmallRng);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(SmallRng::seed_from_u64(seed))
    }

    /// Keras's initial weights of a kernel, \[inputs, units\].
    pub fn glorot(&mut self, inputs: usize, units: usize) -> Vec<f32> {
        let limit = (6.0 / (inputs + units) as f32).sqrt();
        (0..inputs * units).map(|_| self.0.random_range(-limit..limit)).collect()
    }

    /// A new order of the training samples.
    pub fn order<T: TryFrom<usize, Error: std::fmt::Debug>>(&mut self) -> Vec<T> {
        let mut order: Vec<T> =
            (0..TRAIN).map(|row| T::try_from(row).expect("the type holds an index of a row")).collect();
        order.shuffle(&mut self.0);
        order
    }
}

/// Makes the processor flush denormal numbers to zero. They are slow, and Adam's moments of rare pixels decay to them. TensorFlow
/// and XLA flush them by default, PyTorch by a setting; the Rust libraries have no setting.
///
/// Threads that start later inherit the mode. Rust does not specify arithmetic in this mode, so it is for measurements only.
#[cfg(target_arch = "x86_64")]
pub fn flush_denormals() {
    const FLUSH_TO_ZERO: u32 = 1 << 15;
    const DENORMALS_ARE_ZERO: u32 = 1 << 6;
    let mut control = 0_u32;
    // SAFETY: `control` has the size of the register and outlives both instructions. The two bits that are set are valid.
    unsafe {
        std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut control);
        control |= FLUSH_TO_ZERO | DENORMALS_ARE_ZERO;
        std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const control);
    }
}

/// On other processors, it does nothing.
#[cfg(not(target_arch = "x86_64"))]
pub fn flush_denormals() {}

/// Prints the result, which must be the last line of the output. `lock` is the lock file, which has the packages' versions.
pub fn report(fit_seconds: f64, test_accuracy: f64, lock: &str, packages: &[&str]) {
    let versions: Vec<String> = packages
        .iter()
        .map(|package| {
            let version = lock
                .split("[[package]]")
                .find(|entry| entry.contains(&format!("name = \"{package}\"\n")))
                .and_then(|entry| entry.split("version = \"").nth(1)?.split('"').next());
            format!("\"{package}\":\"{}\"", version.unwrap_or("unknown"))
        })
        .collect();
    println!(
        "{{\"fit_seconds\":{fit_seconds},\"test_accuracy\":{test_accuracy},\"versions\":{{{}}}}}",
        versions.join(",")
    );
}
