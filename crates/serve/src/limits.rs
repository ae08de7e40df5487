//! Limits of what a client can use, with their reasons.

use std::time::Duration;

/// Limits of what clients can send and hold. The defaults suit programs of this machine and a few others.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// Open connections. A browser opens six. Another one closes the connection that has been idle for longest. Together with
    /// [`body_bytes`](Self::body_bytes) this bounds the memory of all bodies: 64 MiB.
    pub connections: usize,
    /// Bytes of a body: enough for a scan or photo of one digit as JPEG. Pixels as JSON need 4 kB. A model with more than 262,144 inputs
    /// gets as many bytes as its pixels need.
    pub body_bytes: usize,
    /// The time for a body to arrive.
    pub body_time: Duration,
    /// The time after which a connection without a new request is closed: an idle one, one with slow headers, one whose responses the
    /// client does not read. It is longer than the time for a body and for decoding a picture.
    pub idle_time: Duration,
    /// Requests per second of an address, as a rate and as a burst: twice the rate of predictions that the measurements promise.
    pub requests_per_second: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            body_bytes: 1 << 20,
            body_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(30),
            requests_per_second: 4000.0,
        }
    }
}

/// Bytes of a request line and its headers.
pub(crate) const HEAD_BYTES: usize = 16 << 10;
/// Pixels of a picture, according to its header. Decoding and preparing so many takes half a second and about 100 MB.
pub(crate) const PICTURE_PIXELS: u64 = 16 << 20;
/// Pictures that are decoded at a time, each on its own thread.
pub(crate) const DECODERS: usize = 2;
/// Token buckets. A full bucket is removed.
pub(crate) const ADDRESSES: usize = 1024;
/// Bytes of a report file.
pub(crate) const REPORT_BYTES: u64 = 64 << 20;
/// The interval at which a server checks whether to stop.
pub(crate) const STOP_CHECK_INTERVAL: Duration = Duration::from_millis(50);
