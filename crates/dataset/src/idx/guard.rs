//! A mapped file that another process cuts short: an error instead of the end of this process.
//!
//! An access behind a file's new end raises `SIGBUS`. The handler here maps zeros over the rest of the mapping that the
//! address lies in and notes that it did, so that reading goes on and [`Guard::is_cut`] tells of it after. The program
//! decides whether it is [installed](install), since handlers belong to the process; without it a guard is a note of
//! addresses that nobody reads. An address in no guarded mapping is not ours: the handler that was there before comes
//! back and deals with it.
#![allow(unsafe_code, reason = "a signal handler, and pages put under an address")]

use std::ffi::c_int;
use std::ops::Range;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::SeqCst};

/// What stood where the handler stands now, and the size of a page.
static BEFORE: OnceLock<(libc::sigaction, usize)> = OnceLock::new();

/// All slots there are, the newest first. They live for ever and are used again, so there are as many as there were
/// mappings at one time.
static SLOTS: AtomicPtr<Slot> = AtomicPtr::new(ptr::null_mut());

/// The place of one mapping.
#[derive(Debug)]
struct Slot {
    taken: AtomicBool,
    /// Odd while `start` and `end` change.
    version: AtomicUsize,
    start: AtomicUsize,
    end: AtomicUsize,
    is_cut: AtomicBool,
    /// The slot before it in [`SLOTS`], or null. Set before the slot is published and never after.
    next: AtomicPtr<Slot>,
}

impl Slot {
    /// A slot that is this caller's until it puts it back.
    fn take() -> &'static Slot {
        if let Some(slot) = all().find(|slot| !slot.taken.swap(true, SeqCst)) {
            return slot;
        }
        // Shared from its first moment: a pointer that others follow must not come from a `&mut` that is used again.
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

    /// Gives it to the next who takes one.
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

    /// The addresses, unless they are being changed.
    fn addresses(&self) -> Option<Range<usize>> {
        let version = self.version.load(SeqCst);
        let addresses = self.start.load(SeqCst)..self.end.load(SeqCst);
        (version.is_multiple_of(2) && self.version.load(SeqCst) == version).then_some(addresses)
    }
}

fn all() -> impl Iterator<Item = &'static Slot> {
    let follow = |link: &AtomicPtr<Slot>| {
        // SAFETY: SLOTS and `next` are null or point to a slot that was leaked, so the reference is good for ever. There
        // never is a `&mut` to a slot: it is leaked as `&Slot`, and all of its fields are atomics.
        unsafe { link.load(SeqCst).cast_const().as_ref() }
    };
    std::iter::successors(follow(&SLOTS), move |slot| follow(&slot.next))
}

/// Guards a mapping while it lives, which must not be longer than the mapping. It takes effect with [`install`], called
/// before or after.
#[derive(Debug)]
pub(super) struct Guard(&'static Slot);

impl Guard {
    /// Guards the mapping whose bytes these are.
    ///
    /// # Safety
    /// `bytes` is the whole of a read-only mapping of a file, and the guard is dropped before that is unmapped.
    pub(super) unsafe fn new(bytes: &[u8]) -> Guard {
        let slot = Slot::take();
        slot.is_cut.store(false, SeqCst);
        slot.set(bytes.as_ptr().addr()..bytes.as_ptr().addr() + bytes.len());
        Guard(slot)
    }

    /// Whether something behind the file's end was read.
    pub(super) fn is_cut(&self) -> bool {
        self.0.is_cut.load(SeqCst)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.put_back();
    }
}

/// Installs the handler, once. Should the system refuse, which it has no reason for, all is as without it.
pub(super) fn install() {
    BEFORE.get_or_init(|| {
        // SAFETY: sysconf has no preconditions; sigaction reads and writes structures that live here; all zeros are a
        // valid sigaction of default action; the handler does what a handler may, see there.
        unsafe {
            let page = usize::try_from(libc::sysconf(libc::_SC_PAGESIZE)).unwrap_or(4096);
            let mut before: libc::sigaction = std::mem::zeroed();
            libc::sigaction(libc::SIGBUS, ptr::null(), &raw mut before);
            (before, page)
        }
    });
    static INSTALLED: OnceLock<()> = OnceLock::new();
    // After BEFORE is filled, so that the handler always finds it.
    INSTALLED.get_or_init(|| {
        // SAFETY: as above.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_bus_error as *const () as usize;
            // On the thread's alternative stack, where there is one: the address may have been on the usual one.
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigemptyset(&raw mut action.sa_mask);
            libc::sigaction(libc::SIGBUS, &raw const action, ptr::null_mut());
        }
    });
}

/// Called by the kernel, at any instruction that reads memory. It allocates nothing and takes no lock: it reads atomics,
/// and calls mmap and sigaction, which are plain system calls, and leaves `errno` as it was.
extern "C" fn on_bus_error(signal: c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let Some((before, page)) = BEFORE.get() else { return };
    // SAFETY: the kernel hands a valid siginfo to a handler installed with SA_SIGINFO. A positive code is a fault's, and a
    // fault has an address; what somebody sent has none.
    let (is_fault, address) = unsafe { ((*info).si_code > 0, (*info).si_addr().addr()) };
    let found = all().find_map(|slot| {
        let addresses = slot.addresses().filter(|addresses| addresses.contains(&address))?;
        Some((slot, addresses))
    });
    if let Some((slot, addresses)) = found.filter(|_| is_fault) {
        let start = address & !(page - 1);
        // Before anybody can read a zero.
        slot.is_cut.store(true, SeqCst);
        // SAFETY: the address is being read, by a thread that was interrupted here, and lies in a guarded mapping, which
        // is therefore borrowed and stays mapped; so its slot does not change, and the addresses are its own. A mapping
        // ends with its last page. So the pages from `start` on are that mapping's and nobody else's, and fresh ones take
        // their place in one move: zeros are as good bytes as any, and their readers must be ready for other bytes in
        // any case, see `map`.
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
    // SAFETY: as in `install`. A fault happens again as soon as this returns, and a signal that was sent is sent again,
    // to what was there before.
    unsafe {
        libc::sigaction(libc::SIGBUS, before, ptr::null_mut());
        if !is_fault {
            libc::raise(signal);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests, and bytes that must be read")]

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
            // SAFETY: the bytes outlive the guard; they are no mapping, but no access to them ever faults.
            drop(unsafe { Guard::new(&pages) });
        }
        // Other tests have mappings at the same time.
        assert!(all().count() < 1000, "{} slots", all().count());
    }

    /// Threads take slots and return them: no two hold one at a time, and every reader sees whole ranges. It needs neither
    /// a handler nor a mapping, so that Miri can run it.
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
                    // Below any mapping's addresses, and different in each thread.
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

    /// What the process does at a `SIGBUS`.
    fn action() -> (usize, c_int) {
        // SAFETY: sigaction with no new action only writes the old one into the structure, of which all zeros are a value.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            assert_eq!(libc::sigaction(libc::SIGBUS, ptr::null(), &raw mut action), 0);
            (action.sa_sigaction, action.sa_flags)
        }
    }

    const WAY: &str = "ZIFFER_TEST_BUS_ERROR";

    /// How a process of this test's own ends, which goes by `way`: the signal that killed it, if one did.
    fn end_of(way: &str) -> Option<c_int> {
        let name = "idx::guard::tests::bus_errors_by_process";
        let child = Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact", "--test-threads=1"])
            .env(WAY, way)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(child.success() || child.signal().is_some(), "{way}: {child}");
        child.signal()
    }

    /// Each way in a process of its own, for there is one handler in a process.
    #[test]
    fn bus_errors_by_process() {
        let Ok(way) = std::env::var(WAY) else {
            assert_eq!(end_of("a file, and nobody asked for the handler"), Some(libc::SIGBUS));
            assert_eq!(end_of("a file, and the handler"), None);
            assert_eq!(end_of("a file that is older than the handler"), None);
            assert_eq!(end_of("a guarded mapping"), None);
            assert_eq!(end_of("a mapping that nobody guards"), Some(libc::SIGBUS));
            assert_eq!(end_of("a mapping that was guarded once"), Some(libc::SIGBUS));
            assert_eq!(end_of("a signal from somebody"), Some(libc::SIGBUS));
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write_idx(&path, &Array1::<u8>::ones(100_000)).unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        // SAFETY: the bytes are a mapping of a file, read-only, and guards are dropped first.
        let map = unsafe { memmap2::Mmap::map(&file) }.unwrap();
        let reads_zeros = |idx: IdxFile| {
            idx.check_unchanged().unwrap();
            file.set_len(0).unwrap();
            assert_eq!((idx.payload()[50_000], idx.payload()[99_999], idx.payload()[0]), (0, 0, 0));
            let error = idx.check_unchanged().unwrap_err();
            assert!(matches!(error, IdxError::Changed { expected: 100_008, found: 0, .. }), "{error}");
        };
        match &*way {
            "a file, and nobody asked for the handler" => {
                let before = action();
                let idx = IdxFile::open(&path).unwrap();
                assert_eq!(action(), before, "the library has installed something");
                file.set_len(0).unwrap();
                println!("{}", idx.payload()[50_000]);
            }
            "a file, and the handler" => {
                let before = action();
                install();
                assert_ne!(action(), before);
                reads_zeros(IdxFile::open(&path).unwrap());
            }
            "a file that is older than the handler" => {
                let idx = IdxFile::open(&path).unwrap();
                install();
                let installed = action();
                install();
                assert_eq!(action(), installed);
                reads_zeros(idx);
            }
            "a guarded mapping" => {
                install();
                // SAFETY: as above.
                let guard = unsafe { Guard::new(&map) };
                file.set_len(0).unwrap();
                assert_eq!((map[50_000], map[99_999], map[0]), (0, 0, 0));
                assert!(guard.is_cut());
            }
            "a mapping that nobody guards" => {
                install();
                file.set_len(0).unwrap();
                println!("{}", map[50_000]);
            }
            "a mapping that was guarded once" => {
                install();
                // SAFETY: as above.
                drop(unsafe { Guard::new(&map) });
                file.set_len(0).unwrap();
                println!("{}", map[50_000]);
            }
            "a signal from somebody" => {
                install();
                // The standard library's own handler, which was there before, lets the first one pass.
                for _ in 0..2 {
                    // SAFETY: raise has no preconditions.
                    unsafe { libc::raise(libc::SIGBUS) };
                }
            }
            unknown => panic!("{unknown}"),
        }
    }
}
