//! `POST /api/predict`: what the network makes of pixels or of a picture.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{HeaderMap, Request, StatusCode, header};
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};
use ziffer_nn::Model;
use ziffer_picture::{PictureError, prepare, sides};
use ziffer_tensor::reduce::argmax;

use crate::body;
use crate::limits::PICTURE_PIXELS;
use crate::reply::{Refusal, Reply, json};
use crate::server::Shared;

/// What is wanted beside the probabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Show {
    input: bool,
    activations: bool,
}

impl Show {
    /// Of `show=input`, `show=activations` or `show=all`.
    fn of(query: Option<&str>) -> Result<Self, Refusal> {
        match query.unwrap_or_default() {
            "" => Ok(Self::default()),
            "show=input" => Ok(Self { input: true, activations: false }),
            "show=activations" => Ok(Self { input: false, activations: true }),
            "show=all" => Ok(Self { input: true, activations: true }),
            other => {
                let expected = "expected show=input, show=activations or show=all";
                Err(Refusal::bad(format!("found ?{}, {expected}", other.escape_default())))
            }
        }
    }
}

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Pixels,
    Picture,
}

impl Kind {
    fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let value = |name| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
        let refused = |problem: String| Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, problem));
        if let Some(encoding) = value(header::CONTENT_ENCODING).filter(|encoding| encoding != "identity") {
            return refused(format!("found the content encoding {encoding:?}, expected none"));
        }
        let found = value(header::CONTENT_TYPE).unwrap_or_default();
        let kind = found.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.as_str() {
            "application/json" => Ok(Self::Pixels),
            "image/png" | "image/jpeg" | "image/bmp" => Ok(Self::Picture),
            _ => refused(format!(
                "found the content type {kind:?}, expected application/json, image/png, image/jpeg or image/bmp"
            )),
        }
    }
}

/// A body of pixels.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pixels {
    pixels: Vec<u8>,
}

/// An answer.
#[derive(Serialize)]
struct Answer<'a> {
    digit: usize,
    label: &'a str,
    probabilities: &'a [f32],
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<&'a [u8]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    activations: Option<Vec<Activations<'a>>>,
}

/// What a hidden layer puts out.
#[derive(Serialize)]
struct Activations<'a> {
    layer: &'a str,
    outputs: &'a [f32],
}

/// Answers a request.
pub(crate) async fn predict(shared: &Shared, request: Request<Incoming>) -> Result<Reply, Refusal> {
    let Some(model) = shared.site.model() else {
        let problem = "the network is still training, expected a request after its end";
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, problem));
    };
    let show = Show::of(request.uri().query())?;
    let kind = Kind::of(request.headers())?;
    // A pixel in JSON has at most three digits and a comma.
    let most = shared.limits.body_bytes.max(4 * model.inputs() + 1024);
    let bytes = body::read(request, most, &shared.limits).await?;
    let pixels = match kind {
        Kind::Pixels => pixels(&bytes, shared.site.shape)?,
        Kind::Picture => prepared(shared, bytes).await?,
    };
    answer(model, &shared.site.labels, &pixels, show)
}

fn pixels(bytes: &[u8], [rows, columns]: [usize; 2]) -> Result<Vec<u8>, Refusal> {
    let expected = format!("{{\"pixels\": [{} whole numbers from 0 to 255]}}", rows * columns);
    match serde_json::from_slice::<Pixels>(bytes) {
        Ok(Pixels { pixels }) if pixels.len() == rows * columns => Ok(pixels),
        Ok(Pixels { pixels }) => {
            Err(Refusal::bad(format!("found {} pixels, expected {expected}", pixels.len())))
        }
        Err(error) if error.is_data() => Err(Refusal::bad(format!("{error}; expected {expected}"))),
        Err(error) => Err(Refusal::bad(format!("no JSON: {error}; expected {expected}"))),
    }
}

/// A picture as the network sees it, prepared on a thread of its own: decoding may take a while.
async fn prepared(shared: &Shared, bytes: Vec<u8>) -> Result<Vec<u8>, Refusal> {
    let busy =
        || Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "too many pictures at a time, expected fewer");
    let decoder = Arc::clone(&shared.decoders).acquire_owned();
    let decoder = tokio::time::timeout(shared.limits.body_time, decoder).await;
    let Ok(Ok(decoder)) = decoder else { return Err(busy()) };
    let shape = shared.site.shape;
    let decoding = tokio::task::spawn_blocking(move || {
        // Until it is done, whether or not someone waits for it.
        let _decoder = decoder;
        let [rows, columns] = sides(&bytes)?;
        let pixels = u64::from(rows) * u64::from(columns);
        if pixels > PICTURE_PIXELS {
            return Ok(Err(format!(
                "found a picture of {columns}x{rows} pixels, expected at most {PICTURE_PIXELS}"
            )));
        }
        Ok::<_, PictureError>(Ok(prepare(&bytes, shape)?))
    });
    match decoding.await {
        Ok(Ok(Ok(pixels))) => Ok(pixels),
        Ok(Ok(Err(problem))) => Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, problem)),
        Ok(Err(error)) => Err(Refusal::error(&error)),
        Err(_) => Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the picture cannot be decoded")),
    }
}

fn answer(model: &Model, labels: &[String], pixels: &[u8], show: Show) -> Result<Reply, Refusal> {
    let rows = ArrayView2::from_shape((1, pixels.len()), pixels)
        .map_err(|error| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let outputs = model.activations(rows);
    let mut layers = outputs.iter().map(|(layer, y)| (*layer, y.as_slice().unwrap_or_default()));
    let probabilities = layers.next_back().map_or(&[][..], |(_, probabilities)| probabilities);
    let digit = argmax(probabilities);
    json(&Answer {
        digit,
        label: labels.get(digit).map_or("", String::as_str),
        probabilities,
        input: show.input.then_some(pixels),
        activations: show
            .activations
            .then(|| layers.map(|(layer, outputs)| Activations { layer, outputs }).collect()),
    })
}
