//! More pictures than there are: a data set's own, changed a little by chance, and files of any number of them.
//!
//! A digit that is turned, sheared, scaled or moved a little, or drawn by another hand, is the same digit. Training on such
//! copies is what took dense networks on MNIST furthest (Simard, Steinkraus and Platt, "Best Practices for Convolutional
//! Neural Networks Applied to Visual Document Analysis", 2003).
//!
//! ```
//! use ziffer_dataset::augment::{Distorter, Distortion};
//! use ziffer_tensor::random::{Purpose, Stream};
//!
//! let mut distorter = Distorter::new(Distortion::default(), [28, 28])?;
//! let mut picture = vec![0; 28 * 28];
//! picture[10 * 28..18 * 28].fill(255);
//! let mut changed = vec![0; 28 * 28];
//! distorter.distort(&mut Stream::new(0, Purpose::Augment, 1), &picture, &mut changed);
//! assert_ne!(changed, picture);
//! # Ok::<(), ziffer_dataset::augment::AugmentError>(())
//! ```
//!
//! * [`Distortion`] says how far pictures are changed, [`Distorter`] changes them.
//! * [`Augmentation`] writes a data set with many changed copies of each picture.
//!
//! What is drawn belongs to seed, picture and copy, and no function of the system's mathematical library is called: the
//! same seed gives the same bytes on any machine with any number of threads and any instruction set.

mod augmentation;
mod control_points;
mod distortion;
mod error;

pub use augmentation::{AugmentProgress, Augmentation};
pub use distortion::{Distorter, Distortion};
pub use error::AugmentError;
