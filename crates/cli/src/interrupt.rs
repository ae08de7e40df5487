//! Ctrl-C, and what else asks a program to end.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// The exit code of a program that was asked to end and did, whichever way it was asked: a shell's code for Ctrl-C.
pub(crate) const EXIT_CODE: u8 = 130;

/// A signal so soon after the first is the same wish: who stops a program may signal it and its group.
const SAME_WISH: Duration = Duration::from_secs(1);

/// A flag that is set when the program is asked to end. Asked again later, it ends at once.
pub(crate) fn flag() -> anyhow::Result<Arc<AtomicBool>> {
    let asked = Arc::new(AtomicBool::new(false));
    let heard = [SIGINT, SIGTERM].into_iter().filter(|&signal| !is_ignored(signal));
    let mut signals = Signals::new(heard).context("cannot listen to Ctrl-C")?;
    let flag = Arc::clone(&asked);
    std::thread::spawn(move || {
        let mut first: Option<Instant> = None;
        for _ in signals.forever() {
            match first {
                None => {
                    first = Some(Instant::now());
                    flag.store(true, Ordering::Relaxed);
                }
                Some(first) if first.elapsed() >= SAME_WISH => {
                    // Whether it is read or not, this is the end.
                    let _ = writeln!(io::stderr(), "ended at once; what was saved before is there");
                    std::process::exit(i32::from(EXIT_CODE))
                }
                Some(_) => {}
            }
        }
    });
    Ok(asked)
}

/// Whether whoever started this program wants it to ignore a signal, as a script does for what it runs in the background.
fn is_ignored(signal: i32) -> bool {
    let ignored = || {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
        u64::from_str_radix(mask.trim(), 16).ok()
    };
    ignored().is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
