//! How many requests an address may make: a bucket for each, which fills at a steady rate and holds what a second fills.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::limits::ADDRESSES;

/// The buckets of all addresses.
#[derive(Debug)]
pub(crate) struct Rates {
    per_second: f64,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Requests that may be made at once, when it was last looked at.
    left: f64,
    at: Instant,
}

impl Rates {
    pub(crate) fn new(per_second: f64) -> Self {
        Self { per_second, buckets: Mutex::default() }
    }

    /// Takes a request out of the address's bucket, if there is one in it.
    pub(crate) fn take(&self, address: IpAddr, now: Instant) -> bool {
        let most = self.per_second.max(1.0);
        let filled = |bucket: &Bucket| {
            let seconds = now.saturating_duration_since(bucket.at).as_secs_f64();
            (bucket.left + seconds * self.per_second).min(most)
        };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= ADDRESSES && !buckets.contains_key(&address) {
            buckets.retain(|_, bucket| filled(bucket) < most);
            if buckets.len() >= ADDRESSES {
                return false;
            }
        }
        let bucket = buckets.entry(address).or_insert(Bucket { left: most, at: now });
        let left = filled(bucket);
        let is_there = left >= 1.0;
        *bucket = Bucket { left: if is_there { left - 1.0 } else { left }, at: now };
        is_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_second_s_worth_at_once_and_then_the_rate() {
        let rates = Rates::new(10.0);
        let (here, there) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let start = Instant::now();
        let taken = |address, ms| {
            let now = start + Duration::from_millis(ms);
            (0..100).filter(|_| rates.take(address, now)).count()
        };
        assert_eq!(taken(here, 0), 10);
        assert_eq!(taken(there, 0), 10, "an address of its own has a bucket of its own");
        assert_eq!((taken(here, 450), taken(here, 500)), (4, 1));
        assert_eq!(taken(here, 60_000), 10, "no more is saved up");
    }

    #[test]
    fn many_addresses_take_no_more_memory() {
        let rates = Rates::new(10.0);
        let start = Instant::now();
        let address = |n: u32| IpAddr::from(n.to_be_bytes());
        assert_eq!((0..2000).filter(|n| rates.take(address(*n), start)).count(), ADDRESSES);
        assert!(rates.take(address(5000), start + Duration::from_secs(1)), "the others are full again");
        assert_eq!(rates.buckets.lock().unwrap().len(), 1);
    }
}
