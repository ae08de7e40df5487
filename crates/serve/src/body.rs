//! Bodies, within their bounds of bytes and time.

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Request, StatusCode, header};

use crate::limits::Limits;
use crate::reply::Refusal;

/// How many times the bytes that a body may have are read and dropped when it is larger: a client that is still sending would not
/// hear the answer.
const DRAINED: usize = 4;

/// The whole body of at most so many bytes.
///
/// # Errors
/// 413 if it is longer, 408 if it is not there in time, 400 if it breaks off.
pub(crate) async fn read(
    request: Request<Incoming>,
    most: usize,
    limits: &Limits,
) -> Result<Vec<u8>, Refusal> {
    let too_large = || {
        let problem = format!("found a body of more than {most} bytes, expected at most that");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, problem)
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
            let frame = frame.map_err(|_| Refusal::bad("the body breaks off"))?;
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
        let problem = format!("the body was not there after {} s", limits.body_time.as_secs_f64());
        Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, problem))
    })
}
