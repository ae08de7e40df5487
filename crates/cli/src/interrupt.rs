//! Interruption by Ctrl-C (SIGINT) and SIGTERM.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::output::print_message;

/// The exit code of an interrupted program: the code that shells report for Ctrl-C, for SIGTERM too.
pub(crate) const EXIT_CODE: u8 = 130;

/// A signal that follows so soon belongs to the first: a shell may signal the program and its process group.
const SAME_INTERRUPT: Duration = Duration::from_secs(1);

/// Returns a flag that is set by the first signal. A later signal ends the program at once.
pub(crate) fn flag() -> anyhow::Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let handled = [SIGINT, SIGTERM].into_iter().filter(|&signal| !is_ignored(signal));
    let mut signals = Signals::new(handled).context("cannot handle Ctrl-C")?;
    let flag = Arc::clone(&interrupted);
    std::thread::spawn(move || {
        let mut first: Option<Instant> = None;
        for _ in signals.forever() {
            match first {
                None => {
                    first = Some(Instant::now());
                    flag.store(true, Ordering::Relaxed);
                }
                Some(first) if first.elapsed() >= SAME_INTERRUPT => {
                    print_message("stopped without saving; earlier checkpoints are unchanged");
                    std::process::exit(i32::from(EXIT_CODE))
                }
                Some(_) => {}
            }
        }
    });
    Ok(interrupted)
}

/// Whether the parent process made this program ignore a signal, as a shell script does for background jobs.
fn is_ignored(signal: i32) -> bool {
    let ignored = || {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
        u64::from_str_radix(mask.trim(), 16).ok()
    };
    ignored().is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
