//! What a client may take of the server, and why that much.

use std::time::Duration;

/// Bounds on what clients may send and hold. The defaults are for one machine's own programs and a few neighbours.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// Connections that are served at a time: a browser opens six. A new one beyond takes the place of the one on which nothing has
    /// begun for longest. With [`body_bytes`](Self::body_bytes) it bounds the memory of all bodies together: 64 MiB.
    pub connections: usize,
    /// Bytes of a body: a scan or photograph of one digit as JPEG; pixels as JSON need 4 kB. Networks of more than 262,144 inputs
    /// get as much as their pixels need.
    pub body_bytes: usize,
    /// The time in which a body must be there.
    pub body_time: Duration,
    /// A connection on which no request has begun for so long is closed: an idle one, one whose headers come too slowly, and one
    /// whose answers nobody reads. Longer than a body's time and a picture's decoding together.
    pub quiet_time: Duration,
    /// Requests of an address in a second, in the long run and at once: twice what a program that predicts as fast as it can was
    /// promised.
    pub requests_per_second: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            body_bytes: 1 << 20,
            body_time: Duration::from_secs(10),
            quiet_time: Duration::from_secs(30),
            requests_per_second: 4000.0,
        }
    }
}

/// Bytes of a request's line and headers.
pub(crate) const HEAD_BYTES: usize = 16 << 10;
/// Pixels of a picture, by its header: decoded, prepared and given back in half a second, within some 100 MB.
pub(crate) const PICTURE_PIXELS: u64 = 16 << 20;
/// Pictures that are decoded at a time, on threads of their own.
pub(crate) const DECODERS: usize = 2;
/// Addresses whose rate is remembered; a bucket that has filled up again is forgotten.
pub(crate) const ADDRESSES: usize = 1024;
/// Bytes of a report.
pub(crate) const REPORT_BYTES: u64 = 64 << 20;
/// How often a server looks whether it is to stop.
pub(crate) const LOOK: Duration = Duration::from_millis(50);
