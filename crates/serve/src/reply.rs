//! Answers, each with the headers that keep a browser from doing anything that the page does not need.

use std::error::Error;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

/// An answer that is there as a whole.
pub(crate) type Reply = Response<Full<Bytes>>;

/// The page's: its own script, style, data and frame, and nothing from elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; \
                      frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// A report's, which is a file with its style and pictures inside: no script, and shown in the page's frame only.
const REPORT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; \
                             frame-ancestors 'self'";

/// On every answer.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];

/// An answer of a content type.
pub(crate) fn content(content_type: &'static str, bytes: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(bytes.into()));
    let headers = reply.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}

/// A report.
pub(crate) fn report(html: impl Into<Bytes>) -> Reply {
    let mut reply = content("text/html; charset=utf-8", html);
    reply.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(REPORT_POLICY));
    reply
}

/// A value as JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<Reply, Refusal> {
    match serde_json::to_vec(value) {
        Ok(bytes) => Ok(content("application/json", bytes)),
        Err(error) => Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, format!("no JSON: {error}"))),
    }
}

/// Why a request is not answered, in one line.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    message: String,
    allow: Option<&'static str>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), allow: None }
    }

    /// What the request asked for can't be understood.
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// The same, by an error and its causes.
    pub(crate) fn error(error: &(dyn Error + 'static)) -> Self {
        let causes = std::iter::successors(Some(error), |&error| error.source());
        Self::bad(causes.map(ToString::to_string).collect::<Vec<_>>().join(": "))
    }

    /// Another method than those that there are.
    pub(crate) fn method(found: &hyper::Method, allow: &'static str) -> Self {
        let message = format!("found the method {found}, expected {allow}");
        Self { allow: Some(allow), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, message) }
    }
}

impl From<Refusal> for Reply {
    /// `{"error": "one line"}`.
    fn from(refusal: Refusal) -> Reply {
        let line: Vec<_> = refusal.message.split_whitespace().collect();
        let body = serde_json::json!({ "error": line.join(" ") }).to_string();
        let mut reply = content("application/json", body);
        *reply.status_mut() = refusal.status;
        let headers = reply.headers_mut();
        if matches!(refusal.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if let Some(allow) = refusal.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        reply
    }
}
