//! Interruption by Ctrl-C on Windows, which has no signals but those of C.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag as on_signal;

/// The exit code of an interrupted program: the code that shells report for Ctrl-C.
pub(crate) const EXIT_CODE: u8 = 130;

/// Returns a flag that is set by the first signal. The second one ends the program at once.
pub(crate) fn flag() -> anyhow::Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // The order matters: a signal ends the program if an earlier one has set the flag.
        on_signal::register_conditional_shutdown(signal, i32::from(EXIT_CODE), Arc::clone(&interrupted))
            .and_then(|_| on_signal::register(signal, Arc::clone(&interrupted)))
            .context("cannot handle Ctrl-C")?;
    }
    Ok(interrupted)
}
