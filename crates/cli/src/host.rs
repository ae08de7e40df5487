//! The machine and the start time of a run.

use std::path::Path;
use std::thread::available_parallelism;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A description of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// The model name of the processor.
    pub processor: String,
    /// The CPUs available to the process.
    pub cpus: usize,
    /// The operating system and the release of its kernel.
    pub os: String,
}

impl Host {
    /// This machine.
    pub fn current() -> Self {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").ok();
        let release = release.as_deref().and_then(|text| text.lines().next());
        Self {
            processor: field("/proc/cpuinfo", "model name")
                .unwrap_or_else(|| format!("an unknown {} processor", std::env::consts::ARCH)),
            cpus: available_parallelism().map_or(1, usize::from),
            os: release.map_or_else(
                || std::env::consts::OS.to_owned(),
                |release| format!("Linux {}", release.trim()),
            ),
        }
    }
}

/// The text after the first `name:` in a file.
fn field(file: impl AsRef<Path>, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    Some(text.lines().find(|line| line.starts_with(name))?.split_once(':')?.1.trim().to_owned())
}

/// Formats a time in UTC by RFC 3339, to the second: `2026-11-24T20:45:39Z`. Times before 1970 are shown as its beginning.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (mut day, of_day) = (seconds / 86_400, seconds % 86_400);
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while day >= 365 + u64::from(is_leap(year)) {
        day -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while day >= lengths[month] {
        day -= lengths[month];
        month += 1;
    }
    let (month, day) = (month + 1, day + 1);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Expected values from `date -u -d @SECONDS`.
    #[test]
    fn times_match_the_output_of_date() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (1_795_553_139, "2026-11-24T20:45:39Z"),
        ] {
            assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_secs(seconds)), expected);
        }
        assert_eq!(rfc3339(UNIX_EPOCH - Duration::from_secs(5)), "1970-01-01T00:00:00Z");
    }
}
