//! Routing: from a request's path to its response.

use std::net::IpAddr;

use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use serde::Serialize;

use crate::authorize::authorize;
use crate::limits::REPORT_BYTES;
use crate::predict::predict;
use crate::progress::ProgressCursor;
use crate::response::{HttpError, HttpResponse, content, json, report};
use crate::site::Example;
use crate::state::ServerState;

/// The page's files: path, content type, content.
const FILES: [(&str, &str, &str); 8] = {
    const HTML: &str = "text/html; charset=utf-8";
    const CSS: &str = "text/css; charset=utf-8";
    const SCRIPT: &str = "text/javascript; charset=utf-8";
    [
        ("/", HTML, include_str!("page/page.html")),
        ("/page.css", CSS, include_str!("page/page.css")),
        ("/page.js", SCRIPT, include_str!("page/page.js")),
        ("/dom.js", SCRIPT, include_str!("page/dom.js")),
        ("/strokes.js", SCRIPT, include_str!("page/strokes.js")),
        ("/canvas.js", SCRIPT, include_str!("page/canvas.js")),
        ("/prediction.js", SCRIPT, include_str!("page/prediction.js")),
        ("/training.js", SCRIPT, include_str!("page/training.js")),
    ]
};
/// The page where there is no report. `REASON` is replaced.
const NO_REPORT: &str = include_str!("page/no-report.html");
const TRAINING_RUNS: &str = "The report is made when the training has ended.";
const NO_RUN: &str = "A model file has no report. Serve the folder of a run to see the report of that run.";
const NOT_MADE: &str =
    "This run has no report. Run <code>ziffer report</code> with the run folder, and open this tab again.";

/// The response to any request.
pub(crate) async fn respond(state: &ServerState, request: Request<Incoming>, client: IpAddr) -> HttpResponse {
    let outcome = match authorize(state, &request, client) {
        Ok(()) => route(state, request).await,
        Err(error) => Err(error),
    };
    outcome.unwrap_or_else(HttpResponse::from)
}

async fn route(state: &ServerState, request: Request<Incoming>) -> Result<HttpResponse, HttpError> {
    let path = request.uri().path();
    let is_get = matches!(*request.method(), Method::GET | Method::HEAD);
    let file = FILES.iter().find(|(of, ..)| *of == path);
    match path {
        "/api/predict" if request.method() == Method::POST => predict(state, request).await,
        "/api/predict" => Err(HttpError::method(request.method(), "POST")),
        _ if !is_get && (file.is_some() || matches!(path, "/report" | "/api/model" | "/api/training")) => {
            Err(HttpError::method(request.method(), "GET, HEAD"))
        }
        "/report" => run_report(state).await,
        "/api/model" => model_info(state),
        "/api/training" => training(state, request.uri().query()),
        _ => match file {
            Some(&(_, content_type, text)) => Ok(content(content_type, text)),
            None => Err(HttpError::new(
                StatusCode::NOT_FOUND,
                format!("found the path {}, expected one of this page", path.escape_default()),
            )),
        },
    }
}

/// The report file of the run, read again for every request.
async fn run_report(state: &ServerState) -> Result<HttpResponse, HttpError> {
    let none = |reason: &str| Ok(report(NO_REPORT.replace("REASON", reason)));
    // A file that exists before the training has ended is an earlier run's.
    if state.site.model().is_none() {
        return none(TRAINING_RUNS);
    }
    let Some(path) = state.site.report.clone() else { return none(NO_RUN) };
    let read = tokio::task::spawn_blocking(move || {
        let metadata = std::fs::metadata(&path)?;
        if !metadata.is_file() || metadata.len() > REPORT_BYTES {
            return Err(std::io::Error::other("not a file, or too large"));
        }
        std::fs::read(&path)
    });
    match read.await {
        Ok(Ok(html)) => Ok(report(html)),
        _ => none(NOT_MADE),
    }
}

/// `/api/model`: what the page shows before anything is drawn.
#[derive(Serialize)]
struct ModelInfo<'a> {
    title: &'a str,
    rows: usize,
    columns: usize,
    labels: &'a [String],
    /// Whether there is a training to show.
    training: bool,
    /// Whether there is a model to predict with.
    ready: bool,
    layers: Vec<LayerInfo<'a>>,
    examples: &'a [Example],
}

#[derive(Serialize)]
struct LayerInfo<'a> {
    name: &'a str,
    class: &'a str,
    outputs: usize,
    parameters: usize,
}

fn model_info(state: &ServerState) -> Result<HttpResponse, HttpError> {
    let site = &state.site;
    let [rows, columns] = site.shape;
    let layers = site.model().into_iter().flat_map(ziffer_nn::Model::layers).map(|layer| LayerInfo {
        name: layer.name,
        class: layer.class_name,
        outputs: layer.output_shape.iter().product(),
        parameters: layer.parameters,
    });
    json(&ModelInfo {
        title: &site.title,
        rows,
        columns,
        labels: &site.labels,
        training: site.progress().is_some(),
        ready: site.model().is_some(),
        layers: layers.collect(),
        examples: &site.examples,
    })
}

/// `/api/training`: the progress since a page that has `points` of a `generation`, and `epochs`.
fn training(state: &ServerState, query: Option<&str>) -> Result<HttpResponse, HttpError> {
    let Some(progress) = state.site.progress() else {
        return Err(HttpError::new(StatusCode::NOT_FOUND, "no training runs here"));
    };
    let mut cursor = ProgressCursor::default();
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let wrong = || {
            HttpError::bad_request(format!(
                "found ?{}, expected generation=N&points=N&epochs=N",
                pair.escape_default()
            ))
        };
        let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
        let value = value.parse().map_err(|_| wrong())?;
        match name {
            "generation" => cursor.generation = value,
            "points" => cursor.points = value,
            "epochs" => cursor.epochs = value,
            _ => return Err(wrong()),
        }
    }
    json(&progress.since(cursor))
}
