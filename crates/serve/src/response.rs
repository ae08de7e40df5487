//! Responses. Each has the headers that keep a browser from doing anything that the page does not need.

use std::error::Error;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

/// A response with a complete body.
pub(crate) type HttpResponse = Response<Full<Bytes>>;

/// The content security policy of the page: its own scripts, styles, data and frame, and nothing from elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; \
                      frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// The policy of a report, a file with its styles and images inside: no scripts, and only the page may frame it.
const REPORT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; \
                             frame-ancestors 'self'";

/// The headers of every response.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];

/// A response with a content type.
pub(crate) fn content(content_type: &'static str, bytes: impl Into<Bytes>) -> HttpResponse {
    let mut response = Response::new(Full::new(bytes.into()));
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A response with a report.
pub(crate) fn report(html: impl Into<Bytes>) -> HttpResponse {
    let mut response = content("text/html; charset=utf-8", html);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(REPORT_POLICY));
    response
}

/// A response with a value as JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<HttpResponse, HttpError> {
    match serde_json::to_vec(value) {
        Ok(bytes) => Ok(content("application/json", bytes)),
        Err(error) => Err(HttpError::new(StatusCode::INTERNAL_SERVER_ERROR, format!("not JSON: {error}"))),
    }
}

/// An error response: a status and a line.
#[derive(Debug)]
pub(crate) struct HttpError {
    status: StatusCode,
    message: String,
    allow: Option<&'static str>,
}

impl HttpError {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), allow: None }
    }

    /// 400.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 400 with the message of an error and its causes.
    pub(crate) fn from_error(error: &(dyn Error + 'static)) -> Self {
        let causes = std::iter::successors(Some(error), |&error| error.source());
        Self::bad_request(causes.map(ToString::to_string).collect::<Vec<_>>().join(": "))
    }

    /// 405.
    pub(crate) fn method(found: &hyper::Method, allow: &'static str) -> Self {
        let message = format!("found the method {found}, expected {allow}");
        Self { allow: Some(allow), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, message) }
    }
}

impl From<HttpError> for HttpResponse {
    /// `{"error": "one line"}`.
    fn from(error: HttpError) -> HttpResponse {
        let line: Vec<_> = error.message.split_whitespace().collect();
        let body = serde_json::json!({ "error": line.join(" ") }).to_string();
        let mut response = content("application/json", body);
        *response.status_mut() = error.status;
        let headers = response.headers_mut();
        if matches!(error.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if let Some(allow) = error.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}
