//! Reading request bodies within the limits of bytes and time.

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Request, StatusCode, header};

use crate::limits::Limits;
use crate::response::HttpError;

/// A body of up to so many times its limit is read and dropped. A client that is still sending would not read the response.
const DRAINED: usize = 4;

/// Reads a body of at most `most` bytes.
///
/// # Errors
/// 413 if it is longer, 408 if it does not arrive in time, 400 if it ends early.
pub(crate) async fn read(
    request: Request<Incoming>,
    most: usize,
    limits: &Limits,
) -> Result<Vec<u8>, HttpError> {
    let too_large = || {
        let message = format!("found a body of more than {most} bytes, expected at most that");
        HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    };
    let declared = request.headers().get(header::CONTENT_LENGTH);
    let declared = declared.and_then(|length| length.to_str().ok()?.parse::<usize>().ok()).unwrap_or(0);
    if declared > most && (declared > DRAINED * most || request.headers().contains_key(header::EXPECT)) {
        return Err(too_large());
    }
    let mut body = request.into_body();
    let whole = async {
        let (mut bytes, mut len) = (Vec::with_capacity(declared.min(most)), 0);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| HttpError::bad_request("the body ends early"))?;
            let Ok(data) = frame.into_data() else { continue };
            len += data.len();
            if len <= most {
                bytes.extend_from_slice(&data);
            } else if len > DRAINED * most {
                break;
            } else {
                bytes = Vec::new();
            }
        }
        if len > most { Err(too_large()) } else { Ok(bytes) }
    };
    tokio::time::timeout(limits.body_time, whole).await.unwrap_or_else(|_| {
        let message = format!("the body did not arrive within {} s", limits.body_time.as_secs_f64());
        Err(HttpError::new(StatusCode::REQUEST_TIMEOUT, message))
    })
}
