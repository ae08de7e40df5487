//! The state that all connections share.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Semaphore;

use crate::Site;
use crate::hosts::Hosts;
use crate::limits::{DECODERS, Limits};
use crate::rate_limit::RateLimiter;

#[derive(Debug)]
pub(crate) struct ServerState {
    pub(crate) site: Site,
    pub(crate) hosts: Hosts,
    pub(crate) limits: Limits,
    pub(crate) rates: RateLimiter,
    /// A permit for each picture that may be decoded at a time.
    pub(crate) decoders: Arc<Semaphore>,
    start: Instant,
}

impl ServerState {
    pub(crate) fn new(site: Site, hosts: Hosts, limits: Limits) -> Self {
        Self {
            site,
            hosts,
            limits,
            rates: RateLimiter::new(limits.requests_per_second),
            decoders: Arc::new(Semaphore::new(DECODERS)),
            start: Instant::now(),
        }
    }

    /// Microseconds since the server started.
    pub(crate) fn now_us(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }
}
