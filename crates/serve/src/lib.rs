//! A local web page that shows a model's predictions while you draw, and an HTTP API with the predictions for programs.
//!
//! ```no_run
//! use std::sync::atomic::AtomicBool;
//! use ziffer_nn::Model;
//! use ziffer_serve::{Server, Site};
//!
//! let site = Site::new(Model::load("runs/mnist-0/model.safetensors")?)?.title("mnist-0");
//! let server = Server::bind([127, 0, 0, 1].into(), 7878)?;
//! println!("http://{}/", server.address());
//! server.run(site, &AtomicBool::new(false))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # For programs
//! `POST /api/predict` takes the pixels of the model's input, row by row, light strokes on black:
//!
//! ```json
//! {"pixels": [0, 0, 12, 255]}
//! ```
//!
//! as `application/json`, one whole number from 0 to 255 per input of the model; or a picture file as `image/png`, `image/jpeg` or
//! `image/bmp`, dark on light or light on dark, of up to 1 MiB and 16,777,216 pixels, which is prepared as in `ziffer predict`. The
//! response is
//!
//! ```json
//! {"digit": 7, "label": "7", "probabilities": [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]}
//! ```
//!
//! with the predicted class, its name, and the probability of each class. The probabilities are [`class_probabilities`] of
//! [`Model::predict`], as the shortest decimals that parse to the same bits. `?show=input` adds `"input"`, the pixels of the model's
//! input; `?show=activations` adds `"activations"`, `[{"layer": "dense", "outputs": [...]}, ...]` of the hidden layers; `?show=all`
//! adds both.
//!
//! An error is `{"error": "one line"}`:
//!
//! | status | when |
//! |---|---|
//! | 400 | the body is not JSON of that form, or a picture without a digit; an unknown `?show` |
//! | 403 | the `Origin` header is that of another page |
//! | 404, 405 | no such path; a wrong method, with `Allow` |
//! | 408 | the body does not arrive within 10 s |
//! | 413 | a body of more than 1 MiB, a picture of more pixels |
//! | 415 | a wrong content type, or a content encoding |
//! | 421 | the `Host` header does not name this server: see [`Server::allow_hosts`] |
//! | 429 | more than 4,000 requests a second from one address, with `Retry-After` |
//! | 503 | the model is still training, or too many pictures at a time, with `Retry-After` |
//!
//! The numbers are those of [`Limits::default`].
//!
//! [`Model::predict`]: ziffer_nn::Model::predict
//! [`class_probabilities`]: ziffer_nn::class_probabilities
#![forbid(unsafe_code)]

mod authorize;
mod body;
mod error;
mod hosts;
mod limits;
mod predict;
mod progress;
mod rate_limit;
mod response;
mod router;
mod server;
mod site;
mod state;

pub use error::ServeError;
pub use limits::Limits;
pub use progress::{EpochResult, TrainingProgress};
pub use server::Server;
pub use site::{Example, Site};
