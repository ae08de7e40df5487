//! Ctrl-C, and what else asks a program to end.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// The exit code of a program that was interrupted, as shells have it: 128 and the signal's number.
pub(crate) const EXIT_CODE: u8 = 130;

/// A flag that is set when the program is asked to end. Asked a second time, it ends at once.
pub(crate) fn flag() -> anyhow::Result<Arc<AtomicBool>> {
    let asked = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: at the first signal the flag is not yet set.
        flag::register_conditional_shutdown(signal, i32::from(EXIT_CODE), Arc::clone(&asked))
            .and_then(|_| flag::register(signal, Arc::clone(&asked)))
            .context("cannot listen to Ctrl-C")?;
    }
    Ok(asked)
}
