//! From a request to its answer: what every request must have, and which place it asks for.

use std::net::IpAddr;
use std::time::Instant;

use hyper::body::Incoming;
use hyper::{HeaderMap, Method, Request, StatusCode, header};
use serde::Serialize;

use crate::hosts::Hosts;
use crate::limits::REPORT_BYTES;
use crate::predict::predict;
use crate::reply::{Refusal, Reply, content, json, report};
use crate::server::Shared;
use crate::site::Example;
use crate::training::Known;

/// The page's files by their paths, each with its content type.
const FILES: [(&str, &str, &str); 8] = {
    const HTML: &str = "text/html; charset=utf-8";
    const CSS: &str = "text/css; charset=utf-8";
    const SCRIPT: &str = "text/javascript; charset=utf-8";
    [
        ("/", HTML, include_str!("page/page.html")),
        ("/page.css", CSS, include_str!("page/page.css")),
        ("/page.js", SCRIPT, include_str!("page/page.js")),
        ("/basics.js", SCRIPT, include_str!("page/basics.js")),
        ("/ink.js", SCRIPT, include_str!("page/ink.js")),
        ("/paper.js", SCRIPT, include_str!("page/paper.js")),
        ("/answer.js", SCRIPT, include_str!("page/answer.js")),
        ("/training.js", SCRIPT, include_str!("page/training.js")),
    ]
};
/// Shown where there is no report, with why in the place of `REASON`.
const NO_REPORT: &str = include_str!("page/no-report.html");
const NOT_YET: &str = "The report comes when the training has ended.";
const OF_NO_RUN: &str = "A model's file has no report. Serve the folder of a run to see that run's.";
const NOT_MADE: &str = "This run has no report. <code>ziffer report</code> with the run's folder makes one; open this tab again then.";

/// The answer, whatever it is.
pub(crate) async fn answer(shared: &Shared, request: Request<Incoming>, from: IpAddr) -> Reply {
    let outcome = match admit(shared, &request, from) {
        Ok(()) => place(shared, request).await,
        Err(refusal) => Err(refusal),
    };
    outcome.unwrap_or_else(Reply::from)
}

/// Whether the request is one for this server, from its own page or from a program, and not one too many.
fn admit(shared: &Shared, request: &Request<Incoming>, from: IpAddr) -> Result<(), Refusal> {
    let misdirected = |found: &str| {
        let problem = format!(
            "found the host {found:?}, expected an address of this server or a name that it was told (--allow-host)"
        );
        Refusal::new(StatusCode::MISDIRECTED_REQUEST, problem)
    };
    let host = only(request.headers(), header::HOST).ok_or_else(|| misdirected(""))?;
    let of_target = request.uri().authority().map_or(host, hyper::http::uri::Authority::as_str);
    if let Some(other) = [host, of_target].into_iter().find(|host| !shared.hosts.admit(host)) {
        return Err(misdirected(other));
    }
    if request.headers().contains_key(header::ORIGIN) {
        let origin = only(request.headers(), header::ORIGIN).unwrap_or_default();
        if !Hosts::is_own(origin, host) {
            let problem = format!("found the origin {origin:?}, expected http://{host} or none");
            return Err(Refusal::new(StatusCode::FORBIDDEN, problem));
        }
    }
    if !shared.rates.take(from, Instant::now()) {
        let problem = format!(
            "found more than {} requests a second, expected fewer",
            shared.limits.requests_per_second
        );
        return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, problem));
    }
    Ok(())
}

/// A header that is there once.
fn only(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

async fn place(shared: &Shared, request: Request<Incoming>) -> Result<Reply, Refusal> {
    let path = request.uri().path();
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let file = FILES.iter().find(|(of, ..)| *of == path);
    match path {
        "/api/predict" if request.method() == Method::POST => predict(shared, request).await,
        "/api/predict" => Err(Refusal::method(request.method(), "POST")),
        _ if !is_read && (file.is_some() || matches!(path, "/report" | "/api/model" | "/api/training")) => {
            Err(Refusal::method(request.method(), "GET, HEAD"))
        }
        "/report" => run_report(shared).await,
        "/api/model" => about(shared),
        "/api/training" => training(shared, request.uri().query()),
        _ => match file {
            Some(&(_, content_type, text)) => Ok(content(content_type, text)),
            None => Err(Refusal::new(
                StatusCode::NOT_FOUND,
                format!("found the path {}, expected one of this page", path.escape_default()),
            )),
        },
    }
}

/// The run's report as it is now.
async fn run_report(shared: &Shared) -> Result<Reply, Refusal> {
    let none = |reason: &str| Ok(report(NO_REPORT.replace("REASON", reason)));
    // One that is there already is an earlier run's.
    if shared.site.model().is_none() {
        return none(NOT_YET);
    }
    let Some(path) = shared.site.report.clone() else { return none(OF_NO_RUN) };
    let read = tokio::task::spawn_blocking(move || {
        let metadata = std::fs::metadata(&path)?;
        if !metadata.is_file() || metadata.len() > REPORT_BYTES {
            return Err(std::io::Error::other("no file that is shown"));
        }
        std::fs::read(&path)
    });
    match read.await {
        Ok(Ok(html)) => Ok(report(html)),
        // There is none yet, or none that can be shown.
        _ => none(NOT_MADE),
    }
}

/// What the page shows of the network before anything is drawn.
#[derive(Serialize)]
struct About<'a> {
    title: &'a str,
    rows: usize,
    columns: usize,
    labels: &'a [String],
    /// Whether a training can be watched.
    training: bool,
    /// Whether predictions can be had.
    ready: bool,
    layers: Vec<Layer<'a>>,
    examples: &'a [Example],
}

#[derive(Serialize)]
struct Layer<'a> {
    name: &'a str,
    class: &'a str,
    outputs: usize,
    parameters: usize,
}

fn about(shared: &Shared) -> Result<Reply, Refusal> {
    let site = &shared.site;
    let [rows, columns] = site.shape;
    let layers = site.model().into_iter().flat_map(ziffer_nn::Model::layers).map(|layer| Layer {
        name: layer.name,
        class: layer.class_name,
        outputs: layer.output_shape.iter().product(),
        parameters: layer.parameters,
    });
    json(&About {
        title: &site.title,
        rows,
        columns,
        labels: &site.labels,
        training: site.training().is_some(),
        ready: site.model().is_some(),
        layers: layers.collect(),
        examples: &site.examples,
    })
}

/// What is new of the training to a page that knows `points` of a `generation`, and `epochs`.
fn training(shared: &Shared, query: Option<&str>) -> Result<Reply, Refusal> {
    let Some(training) = shared.site.training() else {
        return Err(Refusal::new(StatusCode::NOT_FOUND, "nothing is being trained here"));
    };
    let mut known = Known::default();
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let wrong = || {
            Refusal::bad(format!("found ?{}, expected generation=N&points=N&epochs=N", pair.escape_default()))
        };
        let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
        let value = value.parse().map_err(|_| wrong())?;
        match name {
            "generation" => known.generation = value,
            "points" => known.points = value,
            "epochs" => known.epochs = value,
            _ => return Err(wrong()),
        }
    }
    json(&training.since(known))
}
