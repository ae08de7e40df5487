//! A page to draw digits on, served from this machine, which shows what a network makes of them while they are drawn; and
//! the network's predictions for programs.
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
//! `POST /api/predict` takes the pixels as the network does, rows by columns, light ink on black:
//!
//! ```json
//! {"pixels": [0, 0, 12, 255]}
//! ```
//!
//! as `application/json`, one whole number from 0 to 255 for each of the network's inputs; or a picture file as `image/png`,
//! `image/jpeg` or `image/bmp`, ink dark or light, of up to 1 MiB and 16,777,216 pixels, which is prepared as `ziffer predict` does.
//! The answer is
//!
//! ```json
//! {"digit": 7, "label": "7", "probabilities": [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]}
//! ```
//!
//! with the likeliest class, what it is called, and a probability for each class, which are the bits of [`Model::predict`] as the
//! shortest decimals that read back to them. `?show=input` adds `"input"`, the pixels as the network saw them;
//! `?show=activations` adds `"activations"`, `[{"layer": "dense", "outputs": [...]}, ...]` of the hidden layers; `?show=all` both.
//!
//! An error is `{"error": "one line"}`:
//!
//! | status | when |
//! |---|---|
//! | 400 | the body is no JSON of that form, or no picture with a digit on it; an unknown `?show` |
//! | 403 | the `Origin` header names another page |
//! | 404, 405 | no such path; another method, with `Allow` |
//! | 408 | the body is not there after 10 s |
//! | 413 | a body of more than 1 MiB, a picture of more pixels |
//! | 415 | another content type, or a content encoding |
//! | 421 | the `Host` header is not this server's address: see [`Server::allow_hosts`] |
//! | 429 | more than 4,000 requests a second from one address, with `Retry-After` |
//! | 503 | the network is still training, or too many pictures at a time, with `Retry-After` |
//!
//! The numbers are those of [`Limits::default`].
//!
//! [`Model::predict`]: ziffer_nn::Model::predict
#![forbid(unsafe_code)]

mod answer;
mod body;
mod error;
mod hosts;
mod limits;
mod predict;
mod rate;
mod reply;
mod server;
mod site;
mod training;

pub use error::ServeError;
pub use limits::Limits;
pub use server::Server;
pub use site::{Example, Site};
pub use training::{EpochResult, Training};
