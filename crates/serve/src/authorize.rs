//! The checks that every request must pass.

use std::net::IpAddr;
use std::time::Instant;

use hyper::body::Incoming;
use hyper::{HeaderMap, Request, StatusCode, header};

use crate::hosts::Hosts;
use crate::response::HttpError;
use crate::state::ServerState;

/// Checks that a request names this server, comes from its own page or from a program, and is not one too many.
///
/// # Errors
/// 421, 403 or 429.
pub(crate) fn authorize(
    state: &ServerState,
    request: &Request<Incoming>,
    client: IpAddr,
) -> Result<(), HttpError> {
    let misdirected = |found: &str| {
        let message = format!(
            "found the host {found:?}, expected an address of this server or a name that is allowed (--allow-host)"
        );
        HttpError::new(StatusCode::MISDIRECTED_REQUEST, message)
    };
    let host = single(request.headers(), header::HOST).ok_or_else(|| misdirected(""))?;
    let of_target = request.uri().authority().map_or(host, hyper::http::uri::Authority::as_str);
    if let Some(other) = [host, of_target].into_iter().find(|host| !state.hosts.is_allowed(host)) {
        return Err(misdirected(other));
    }
    if request.headers().contains_key(header::ORIGIN) {
        let origin = single(request.headers(), header::ORIGIN).unwrap_or_default();
        if !Hosts::is_own(origin, host) {
            let message = format!("found the origin {origin:?}, expected http://{host} or none");
            return Err(HttpError::new(StatusCode::FORBIDDEN, message));
        }
    }
    if !state.rates.try_acquire(client, Instant::now()) {
        let message =
            format!("found more than {} requests a second, expected fewer", state.limits.requests_per_second);
        return Err(HttpError::new(StatusCode::TOO_MANY_REQUESTS, message));
    }
    Ok(())
}

/// The value of a header that occurs once.
fn single(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}
