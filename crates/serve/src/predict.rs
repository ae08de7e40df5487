//! `POST /api/predict`: the prediction for pixels or for a picture file.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{HeaderMap, Request, StatusCode, header};
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};
use ziffer_nn::{Model, class_probabilities, predicted_class};
use ziffer_picture::{PictureError, prepare, sides};

use crate::body;
use crate::limits::PICTURE_PIXELS;
use crate::response::{HttpError, HttpResponse, json};
use crate::state::ServerState;

/// What the response has beside the probabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Show {
    input: bool,
    activations: bool,
}

impl Show {
    /// Parses `show=input`, `show=activations` or `show=all`.
    fn of(query: Option<&str>) -> Result<Self, HttpError> {
        match query.unwrap_or_default() {
            "" => Ok(Self::default()),
            "show=input" => Ok(Self { input: true, activations: false }),
            "show=activations" => Ok(Self { input: false, activations: true }),
            "show=all" => Ok(Self { input: true, activations: true }),
            other => {
                let expected = "expected show=input, show=activations or show=all";
                Err(HttpError::bad_request(format!("found ?{}, {expected}", other.escape_default())))
            }
        }
    }
}

/// The kind of a body.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Pixels,
    Picture,
}

impl Kind {
    fn of(headers: &HeaderMap) -> Result<Self, HttpError> {
        let value = |name| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
        let refused = |message: String| Err(HttpError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PixelsRequest {
    pixels: Vec<u8>,
}

#[derive(Serialize)]
struct PredictResponse<'a> {
    digit: usize,
    label: &'a str,
    probabilities: &'a [f32],
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<&'a [u8]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    activations: Option<Vec<Activations<'a>>>,
}

/// The outputs of a hidden layer.
#[derive(Serialize)]
struct Activations<'a> {
    layer: &'a str,
    outputs: &'a [f32],
}

/// Responds to a request.
pub(crate) async fn predict(
    state: &ServerState,
    request: Request<Incoming>,
) -> Result<HttpResponse, HttpError> {
    let Some(model) = state.site.model() else {
        let message = "the model is still training, expected a request after its end";
        return Err(HttpError::new(StatusCode::SERVICE_UNAVAILABLE, message));
    };
    let show = Show::of(request.uri().query())?;
    let kind = Kind::of(request.headers())?;
    // A pixel in JSON has at most three digits and a comma.
    let most = state.limits.body_bytes.max(4 * model.inputs() + 1024);
    let bytes = body::read(request, most, &state.limits).await?;
    let pixels = match kind {
        Kind::Pixels => parse_pixels(&bytes, state.site.shape)?,
        Kind::Picture => prepare_picture(state, bytes).await?,
    };
    respond(model, &state.site.labels, &pixels, show)
}

fn parse_pixels(bytes: &[u8], [rows, columns]: [usize; 2]) -> Result<Vec<u8>, HttpError> {
    let expected = format!("{{\"pixels\": [{} whole numbers from 0 to 255]}}", rows * columns);
    match serde_json::from_slice::<PixelsRequest>(bytes) {
        Ok(PixelsRequest { pixels }) if pixels.len() == rows * columns => Ok(pixels),
        Ok(PixelsRequest { pixels }) => {
            Err(HttpError::bad_request(format!("found {} pixels, expected {expected}", pixels.len())))
        }
        Err(error) if error.is_data() => Err(HttpError::bad_request(format!("{error}; expected {expected}"))),
        Err(error) => Err(HttpError::bad_request(format!("not JSON: {error}; expected {expected}"))),
    }
}

/// The pixels of a picture file, prepared on a thread of its own, since decoding takes a while.
async fn prepare_picture(state: &ServerState, bytes: Vec<u8>) -> Result<Vec<u8>, HttpError> {
    let busy =
        || HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "too many pictures at a time, expected fewer");
    let decoder = Arc::clone(&state.decoders).acquire_owned();
    let decoder = tokio::time::timeout(state.limits.body_time, decoder).await;
    let Ok(Ok(decoder)) = decoder else { return Err(busy()) };
    let shape = state.site.shape;
    let decoding = tokio::task::spawn_blocking(move || {
        // The permit lasts as long as decoding, even if the client is gone.
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
        Ok(Ok(Err(message))) => Err(HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, message)),
        Ok(Err(error)) => Err(HttpError::from_error(&error)),
        Err(_) => Err(HttpError::new(StatusCode::INTERNAL_SERVER_ERROR, "the picture cannot be decoded")),
    }
}

fn respond(model: &Model, labels: &[String], pixels: &[u8], show: Show) -> Result<HttpResponse, HttpError> {
    let rows = ArrayView2::from_shape((1, pixels.len()), pixels)
        .map_err(|error| HttpError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let activations = model.activations(rows);
    let mut layers = activations.iter().map(|(layer, y)| (*layer, y.as_slice().unwrap_or_default()));
    let outputs = layers.next_back().map_or(&[][..], |(_, outputs)| outputs);
    let (digit, probabilities) = (predicted_class(outputs), class_probabilities(outputs));
    json(&PredictResponse {
        digit,
        label: labels.get(digit).map_or("", String::as_str),
        probabilities: &probabilities,
        input: show.input.then_some(pixels),
        activations: show
            .activations
            .then(|| layers.map(|(layer, outputs)| Activations { layer, outputs }).collect()),
    })
}
