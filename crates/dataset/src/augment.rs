//! Random distortions of images, and data sets with any number of distorted copies.
//!
//! A digit that is rotated, sheared, scaled, shifted or bent a little is the same digit. Dense networks reach their best accuracy on
//! MNIST by training on such copies (Simard, Steinkraus and Platt, "Best Practices for Convolutional
//! Neural Networks Applied to Visual Document Analysis", 2003).
//!
//! ```
//! use ziffer_dataset::augment::{Distorter, Distortion};
//! use ziffer_tensor::random::{Purpose, Stream};
//!
//! let mut distorter = Distorter::new(Distortion::default(), [28, 28])?;
//! let mut image = vec![0; 28 * 28];
//! image[10 * 28..18 * 28].fill(255);
//! let mut distorted = vec![0; 28 * 28];
//! distorter.distort(&mut Stream::new(0, Purpose::Augment, 1), &image, &mut distorted);
//! assert_ne!(distorted, image);
//! # Ok::<(), ziffer_dataset::augment::AugmentError>(())
//! ```
//!
//! * [`Distortion`] has the bounds of the distortions, [`Distorter`] applies them.
//! * [`Augmentation`] writes a data set with many distorted copies of each image.
//!
//! Random numbers are determined by seed, image and copy, and no function of the system's math library is called. So a seed gives the
//! same bytes on any machine, with any number of threads and any instruction set.

mod augmentation;
mod control_points;
mod distortion;
mod error;

pub use augmentation::{AugmentProgress, Augmentation};
pub use distortion::{Distorter, Distortion};
pub use error::AugmentError;
