//! Turns the truncation of a memory-mapped file by another process into an error.
//!
//! Reading a page beyond a file's new end raises `SIGBUS`, which ends the process by default. The handler here maps zeros over
//! the rest of the mapping and sets a flag: reading continues, and [`Guard::is_cut`] returns true. Signal handlers belong to the
//! process, so the program decides whether to [install] this one. Without it, a guard has no effect. For an address outside of
//! all guarded mappings, the handler restores the previous one, which then handles the signal.
#![allow(unsafe_code, reason = "a signal handler, which maps pages at an address")]

use std::ffi::c_int;
use std::ops::Range;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::SeqCst};

/// The previous handler, and the size of a page.
static BEFORE: OnceLock<(libc::sigaction, usize)> = OnceLock::new();

/// The list of all slots, the newest first. Slots are never freed but reused, so their number is the largest number of guards
/// that existed at the same time.
static SLOTS: AtomicPtr<Slot> = AtomicPtr::new(ptr::null_mut());

/// The addresses of one mapping.
#[derive(Debug)]
struct Slot {
    taken: AtomicBool,
    /// Odd while `start` and `end` change.
    version: AtomicUsize,
    start: AtomicUsize,
    end: AtomicUsize,
    is_cut: AtomicBool,
    /// The next slot in the list [`SLOTS`], or null. It does not change after the slot is published.
    next: AtomicPtr<Slot>,
}

impl Slot {
    /// Takes an unused slot, or creates one. The caller owns it until [`put_back`](Self::put_back).
    fn take() -> &'static Slot {
        if let Some(slot) = all().find(|slot| !slot.taken.swap(true, SeqCst)) {
            return slot;
        }
        // A shared reference from the start: a pointer that other threads follow must not derive from a `&mut` that is used again.
        let slot: &'static Slot = Box::leak(Box::new(Slot {
            taken: AtomicBool::new(true),
            version: AtomicUsize::new(0),
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            is_cut: AtomicBool::new(false),
            next: AtomicPtr::new(ptr::null_mut()),
        }));
        let mut head = SLOTS.load(SeqCst);
        loop {
            slot.next.store(head, SeqCst);
            match SLOTS.compare_exchange(head, ptr::from_ref(slot).cast_mut(), SeqCst, SeqCst) {
                Ok(_) => return slot,
                Err(newer) => head = newer,
            }
        }
    }

    /// Returns the slot for reuse.
    fn put_back(&self) {
        self.set(0..0);
        self.taken.store(false, SeqCst);
    }

    fn set(&self, addresses: Range<usize>) {
        self.version.fetch_add(1, SeqCst);
        self.start.store(addresses.start, SeqCst);
        self.end.store(addresses.end, SeqCst);
        self.version.fetch_add(1, SeqCst);
    }

    /// The addresses, or `None` while another thread changes them.
    fn addresses(&self) -> Option<Range<usize>> {
        let version = self.version.load(SeqCst);
        let addresses = self.start.load(SeqCst)..self.end.load(SeqCst);
        (version.is_multiple_of(2) && self.version.load(SeqCst) == version).then_some(addresses)
    }
}

fn all() -> impl Iterator<Item = &'static Slot> {
    let follow = |link: &AtomicPtr<Slot>| {
        // SAFETY: SLOTS and `next` are null or point to a leaked slot, so the reference is valid for the rest of the process. No
        // `&mut` to a slot exists: it is leaked as `&Slot`, and all of its fields are atomics.
        unsafe { link.load(SeqCst).cast_const().as_ref() }
    };
    std::iter::successors(follow(&SLOTS), move |slot| follow(&slot.next))
}

/// Guards a mapping until it is dropped, which must be before the mapping ends. It has an effect once [`install`] is called,
/// before or after the guard is created.
#[derive(Debug)]
pub(super) struct Guard(&'static Slot);

impl Guard {
    /// Guards the mapping that consists of `bytes`.
    ///
    /// # Safety
    /// `bytes` must be a whole read-only mapping of a file, and the guard must be dropped before the file is unmapped.
    pub(super) unsafe fn new(bytes: &[u8]) -> Guard {
        let slot = Slot::take();
        slot.is_cut.store(false, SeqCst);
        slot.set(bytes.as_ptr().addr()..bytes.as_ptr().addr() + bytes.len());
        Guard(slot)
    }

    /// Whether a page beyond the file's end was read.
    pub(super) fn is_cut(&self) -> bool {
        self.0.is_cut.load(SeqCst)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.put_back();
    }
}

/// Installs the handler, once. If the system refuses, which it has no reason for, guards have no effect.
pub(super) fn install() {
    BEFORE.get_or_init(|| {
        // SAFETY: sysconf has no preconditions. sigaction writes to a structure that outlives the call and installs nothing. All
        // zeros are a valid sigaction.
        unsafe {
            let page = usize::try_from(libc::sysconf(libc::_SC_PAGESIZE)).unwrap_or(4096);
            let mut before: libc::sigaction = std::mem::zeroed();
            libc::sigaction(libc::SIGBUS, ptr::null(), &raw mut before);
            (before, page)
        }
    });
    static INSTALLED: OnceLock<()> = OnceLock::new();
    // BEFORE is set first, so that the handler always finds it.
    INSTALLED.get_or_init(|| {
        // SAFETY: all zeros are a valid sigaction with the default action. sigemptyset and sigaction access a structure that
        // outlives the calls. The handler has the signature for SA_SIGINFO, and calls only what a handler may call, see there.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_bus_error as *const () as usize;
            // The handler runs on the thread's alternative stack, if it has one: the fault may be on the usual stack.
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigemptyset(&raw mut action.sa_mask);
            libc::sigaction(libc::SIGBUS, &raw const action, ptr::null_mut());
        }
    });
}

/// The handler. The kernel calls it at any instruction that reads memory, so it must be async-signal-safe: it does not allocate
/// and takes no lock. It reads atomics, calls mmap, sigaction and raise, which are plain system calls, and preserves `errno`.
extern "C" fn on_bus_error(signal: c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let Some((before, page)) = BEFORE.get() else { return };
    // SAFETY: the kernel passes a valid siginfo to a handler that is installed with SA_SIGINFO. The code of a fault is positive,
    // and a fault has an address. A signal that a process sent has neither: what is read as its address is not used.
    let (is_fault, address) = unsafe { ((*info).si_code > 0, (*info).si_addr().addr()) };
    let found = all().find_map(|slot| {
        let addresses = slot.addresses().filter(|addresses| addresses.contains(&address))?;
        Some((slot, addresses))
    });
    if let Some((slot, addresses)) = found.filter(|_| is_fault) {
        let start = address & !(page - 1);
        // Set before any thread can read a zero.
        slot.is_cut.store(true, SeqCst);
        // SAFETY: the interrupted thread reads the address, which lies in a guarded mapping. So the mapping is borrowed and stays
        // mapped, its slot does not change, and `addresses` are its addresses. A mapping consists of whole pages. So all pages from
        // `start` to the end belong to this mapping only, and MAP_FIXED replaces them atomically. Zeros are valid bytes, and
        // readers of a mapped file expect that its bytes may change, see `map`. `__errno_location` returns a valid pointer to the
        // thread's own `errno`.
        let mapped = unsafe {
            let errno = *libc::__errno_location();
            let mapped = libc::mmap(
                ptr::without_provenance_mut(start),
                addresses.end.next_multiple_of(*page) - start,
                libc::PROT_READ,
                libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            *libc::__errno_location() = errno;
            mapped
        };
        if mapped != libc::MAP_FAILED {
            return;
        }
    }
    // SAFETY: `before` is an action that sigaction returned, and sigaction reads it only. raise has no preconditions. The previous
    // handler is active again afterwards: a fault is raised again once this function returns, and a sent signal is sent again.
    unsafe {
        libc::sigaction(libc::SIGBUS, before, ptr::null_mut());
        if !is_fault {
            libc::raise(signal);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::print_stdout,
        reason = "tests, which must use the bytes that they read"
    )]

    use std::fs::File;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};

    use ndarray::Array1;

    use super::*;
    use crate::idx::{IdxError, IdxFile, write_idx};

    #[test]
    fn slots_are_used_again() {
        let pages = [0; 8192];
        for _ in 0..if cfg!(miri) { 100 } else { 10_000 } {
            // SAFETY: the bytes outlive the guard. They are not a mapping, but no access to them faults.
            drop(unsafe { Guard::new(&pages) });
        }
        // Other tests have guards at the same time.
        assert!(all().count() < 1000, "{} slots", all().count());
    }

    /// Threads take and return slots. No slot has two owners at a time, and every reader sees whole ranges. The test needs
    /// neither a handler nor a mapping, so that Miri can run it.
    #[test]
    fn threads_take_and_return_slots() {
        const THREADS: usize = 4;
        const LEN: usize = 1000;
        let rounds = if cfg!(miri) { 20 } else { 2000 };
        let holders: Vec<AtomicUsize> = (0..THREADS).map(|_| AtomicUsize::new(0)).collect();
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let holders = &holders;
                scope.spawn(move || {
                    // Below the addresses of any mapping, and different in each thread.
                    let start = 1 + thread * LEN;
                    for _ in 0..rounds {
                        let slot = Slot::take();
                        slot.set(start..start + LEN);
                        holders[thread].store(ptr::from_ref(slot).addr(), SeqCst);
                        let sharing =
                            holders.iter().filter(|held| held.load(SeqCst) == ptr::from_ref(slot).addr());
                        assert_eq!(sharing.count(), 1);
                        assert_eq!(slot.addresses(), Some(start..start + LEN));
                        for addresses in
                            all().filter_map(Slot::addresses).filter(|range| range.start <= THREADS * LEN)
                        {
                            assert!(addresses.is_empty() || addresses.len() == LEN, "{addresses:?}");
                        }
                        holders[thread].store(0, SeqCst);
                        slot.put_back();
                    }
                });
            }
        });
    }

    /// The process's handler of `SIGBUS`, and its flags.
    fn action() -> (usize, c_int) {
        // SAFETY: without a new action, sigaction only writes the old one to the structure. All zeros are a valid sigaction.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            assert_eq!(libc::sigaction(libc::SIGBUS, ptr::null(), &raw mut action), 0);
            (action.sa_sigaction, action.sa_flags)
        }
    }

    const CASE: &str = "ZIFFER_TEST_BUS_ERROR";

    /// Runs one case in a process of its own and returns the signal that ended it, if any.
    fn signal_in(case: &str) -> Option<c_int> {
        let name = "idx::guard::tests::bus_errors_by_process";
        let child = Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact", "--test-threads=1"])
            .env(CASE, case)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(child.success() || child.signal().is_some(), "{case}: {child}");
        child.signal()
    }

    /// Each case runs in a process of its own, since a process has one handler.
    #[test]
    fn bus_errors_by_process() {
        let Ok(case) = std::env::var(CASE) else {
            assert_eq!(signal_in("a file without the handler"), Some(libc::SIGBUS));
            assert_eq!(signal_in("a file opened after the handler is installed"), None);
            assert_eq!(signal_in("a file opened before the handler is installed"), None);
            assert_eq!(signal_in("a guarded mapping"), None);
            assert_eq!(signal_in("a mapping without a guard"), Some(libc::SIGBUS));
            assert_eq!(signal_in("a mapping whose guard is dropped"), Some(libc::SIGBUS));
            assert_eq!(signal_in("a signal that is sent"), Some(libc::SIGBUS));
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write_idx(&path, &Array1::<u8>::ones(100_000)).unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        // SAFETY: the mapping is read-only. The file changes under it on purpose: the test reads bytes of any value.
        let map = unsafe { memmap2::Mmap::map(&file) }.unwrap();
        let reads_zeros = |idx: IdxFile| {
            idx.check_unchanged().unwrap();
            file.set_len(0).unwrap();
            assert_eq!((idx.payload()[50_000], idx.payload()[99_999], idx.payload()[0]), (0, 0, 0));
            let error = idx.check_unchanged().unwrap_err();
            assert!(matches!(error, IdxError::Changed { expected: 100_008, found: 0, .. }), "{error}");
        };
        match &*case {
            "a file without the handler" => {
                let before = action();
                let idx = IdxFile::open(&path).unwrap();
                assert_eq!(action(), before, "the library installed a handler");
                file.set_len(0).unwrap();
                println!("{}", idx.payload()[50_000]);
            }
            "a file opened after the handler is installed" => {
                let before = action();
                install();
                assert_ne!(action(), before);
                reads_zeros(IdxFile::open(&path).unwrap());
            }
            "a file opened before the handler is installed" => {
                let idx = IdxFile::open(&path).unwrap();
                install();
                let installed = action();
                install();
                assert_eq!(action(), installed);
                reads_zeros(idx);
            }
            "a guarded mapping" => {
                install();
                // SAFETY: `map` is a whole read-only mapping, and is unmapped after the guard is dropped.
                let guard = unsafe { Guard::new(&map) };
                file.set_len(0).unwrap();
                assert_eq!((map[50_000], map[99_999], map[0]), (0, 0, 0));
                assert!(guard.is_cut());
            }
            "a mapping without a guard" => {
                install();
                file.set_len(0).unwrap();
                println!("{}", map[50_000]);
            }
            "a mapping whose guard is dropped" => {
                install();
                // SAFETY: `map` is a whole read-only mapping, and is unmapped after the guard is dropped.
                drop(unsafe { Guard::new(&map) });
                file.set_len(0).unwrap();
                println!("{}", map[50_000]);
            }
            "a signal that is sent" => {
                install();
                // The previous handler is the standard library's. It only restores the default action at the first
                // signal.
                for _ in 0..2 {
                    // SAFETY: raise has no preconditions.
                    unsafe { libc::raise(libc::SIGBUS) };
                }
            }
            unknown => panic!("{unknown}"),
        }
    }
}
