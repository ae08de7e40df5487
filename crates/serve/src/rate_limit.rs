//! The rate limit: a token bucket per address, which fills at a steady rate and holds the tokens of one second.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::limits::ADDRESSES;

/// The token buckets of all addresses.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    per_second: f64,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// The tokens at `updated`.
    tokens: f64,
    updated: Instant,
}

impl RateLimiter {
    pub(crate) fn new(per_second: f64) -> Self {
        Self { per_second, buckets: Mutex::default() }
    }

    /// Takes a token from the address's bucket. Returns whether it had one.
    pub(crate) fn try_acquire(&self, address: IpAddr, now: Instant) -> bool {
        let most = self.per_second.max(1.0);
        let filled = |bucket: &Bucket| {
            let seconds = now.saturating_duration_since(bucket.updated).as_secs_f64();
            (bucket.tokens + seconds * self.per_second).min(most)
        };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= ADDRESSES && !buckets.contains_key(&address) {
            buckets.retain(|_, bucket| filled(bucket) < most);
            if buckets.len() >= ADDRESSES {
                return false;
            }
        }
        let bucket = buckets.entry(address).or_insert(Bucket { tokens: most, updated: now });
        let tokens = filled(bucket);
        let has_token = tokens >= 1.0;
        *bucket = Bucket { tokens: if has_token { tokens - 1.0 } else { tokens }, updated: now };
        has_token
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_bucket_holds_one_second_of_requests() {
        let rates = RateLimiter::new(10.0);
        let (first, second) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let start = Instant::now();
        let taken = |address, ms| {
            let now = start + Duration::from_millis(ms);
            (0..100).filter(|_| rates.try_acquire(address, now)).count()
        };
        assert_eq!(taken(first, 0), 10);
        assert_eq!(taken(second, 0), 10, "each address has its own bucket");
        assert_eq!((taken(first, 450), taken(first, 500)), (4, 1));
        assert_eq!(taken(first, 60_000), 10, "a bucket holds no more");
    }

    #[test]
    fn the_number_of_buckets_is_bounded() {
        let rates = RateLimiter::new(10.0);
        let start = Instant::now();
        let address = |n: u32| IpAddr::from(n.to_be_bytes());
        assert_eq!((0..2000).filter(|n| rates.try_acquire(address(*n), start)).count(), ADDRESSES);
        assert!(
            rates.try_acquire(address(5000), start + Duration::from_secs(1)),
            "the other buckets are full again"
        );
        assert_eq!(rates.buckets.lock().unwrap().len(), 1);
    }
}
