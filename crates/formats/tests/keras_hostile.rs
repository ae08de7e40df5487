//! Truncated and modified files: each is imported or refused, within a memory limit that depends on its length.
#![allow(clippy::unwrap_used, reason = "a failure is the test's")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use ziffer_formats::keras::{ImportError, Imported, Options, import};
use ziffer_nn::random::{Purpose, Stream};

#[path = "keras/support.rs"]
mod support;

/// The system's allocator, which records the memory in use.
struct Recording;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Recording {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(live, Ordering::Relaxed);
        // SAFETY: the caller's contract is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the pointer came from the system's allocator, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Recording = Recording;

/// The tests take turns, since they share the allocator.
static TURN: Mutex<()> = Mutex::new(());

/// Imports a file, and fails if that panics, exceeds the memory limit, or returns a message of several lines.
fn attack(bytes: &[u8], what: &str) -> Result<Imported, ImportError> {
    /// An archive's weights are copied out and then into the model. Names and the architecture take some memory beside.
    const FACTOR: usize = 4;
    const EXTRA: usize = 1 << 16;
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let outcome = catch_unwind(AssertUnwindSafe(|| import(bytes, &Options::default())));
    let held = PEAK.load(Ordering::Relaxed) - before;
    let outcome = outcome.unwrap_or_else(|_| panic!("{what}: a panic"));
    assert!(held <= FACTOR * bytes.len() + EXTRA, "{what}: {held} bytes for a file of {}", bytes.len());
    if let Err(error) = &outcome {
        let line = support::chain(error);
        assert!(line.len() < 400 && !line.contains('\n'), "{what}: {line}");
    }
    outcome
}

#[test]
fn truncated_files_are_refused() {
    let _turn = TURN.lock().unwrap();
    for name in support::FILES {
        let whole = support::fixture(name);
        let few = whole.len().min(600);
        for length in (0..few).chain((few..whole.len()).step_by(61)).chain(whole.len() - few..whole.len()) {
            let what = format!("{name} truncated to {length}");
            assert!(attack(&whole[..length], &what).is_err(), "{what} is imported");
        }
    }
}

#[test]
fn changed_files_are_imported_or_refused() {
    const SEEDS: u64 = 1000;
    let _turn = TURN.lock().unwrap();
    for name in support::FILES {
        let whole = support::fixture(name);
        let mut imported = 0;
        for seed in 0..SEEDS {
            let bytes = changed(&whole, seed);
            imported += u64::from(attack(&bytes, &format!("{name}, seed {seed}")).is_ok());
        }
        // If none were imported, the changes would only test the beginning of the file; if all, they would change nothing.
        assert!((1..SEEDS).contains(&imported), "{name}: {imported} of {SEEDS} are imported");
    }
}

/// A file with up to four changes, each of up to eight bytes.
fn changed(whole: &[u8], seed: u64) -> Vec<u8> {
    let mut stream = Stream::new(seed, Purpose::Other(0), 0);
    let mut below = |bound: usize| stream.below(bound as u64) as usize;
    let mut bytes = whole.to_vec();
    for _ in 0..1 + below(4) {
        // The metadata are at both ends, mostly.
        let at = match below(3) {
            0 => below(whole.len().min(4096)),
            1 => whole.len() - 1 - below(whole.len().min(16384)),
            _ => below(whole.len()),
        };
        let end = whole.len().min(at + 8);
        match below(5) {
            0 => bytes[at] ^= 1 << below(8),
            1 => bytes[at] = below(256) as u8,
            2 => bytes[at..end].fill(0xFF),
            3 => bytes[at..end].fill(0),
            // An address or a name from elsewhere in the file.
            _ => {
                let from = below(whole.len() - 8);
                bytes[at..end].copy_from_slice(&whole[from..from + end - at]);
            }
        }
    }
    bytes
}

/// Keras's weights with another object, at the end, as the root group.
fn with_root(object: impl FnOnce(u64) -> Vec<u8>) -> Vec<u8> {
    /// The offsets of the file's length and of the root's address in the superblock.
    const END: usize = 40;
    const ROOT: usize = 64;
    let mut bytes = support::fixture("digits.weights.h5");
    let address = bytes.len() as u64;
    bytes.extend(object(address));
    let end = bytes.len() as u64;
    bytes[END..END + 8].copy_from_slice(&end.to_le_bytes());
    bytes[ROOT..ROOT + 8].copy_from_slice(&address.to_le_bytes());
    bytes
}

/// An object header of version 1 with one message of two addresses: 40 bytes.
fn header(kind: u16, addresses: [u64; 2]) -> Vec<u8> {
    let mut bytes = vec![1, 0, 1, 0, 1, 0, 0, 0, 24, 0, 0, 0, 0, 0, 0, 0];
    bytes.extend(kind.to_le_bytes());
    bytes.extend([16, 0, 0, 0, 0, 0]);
    bytes.extend(addresses.into_iter().flat_map(u64::to_le_bytes));
    bytes
}

/// A group at an address whose B-tree is one node that repeats one child: 104 bytes, and 16 for each child.
fn group(address: u64, level: u8, child: u64, children: u16) -> Vec<u8> {
    let (heap, names, node) = (address + 40, address + 72, address + 80);
    let mut bytes = header(0x11, [node, heap]);
    bytes.extend(*b"HEAP\0\0\0\0");
    bytes.extend([8, 0, names].into_iter().flat_map(u64::to_le_bytes));
    bytes.extend([0; 8]);
    bytes.extend(*b"TREE\0");
    bytes.push(level);
    bytes.extend(children.to_le_bytes());
    bytes.extend([0xFF; 16]);
    (0..children).for_each(|_| bytes.extend([0, child].into_iter().flat_map(u64::to_le_bytes)));
    bytes
}

#[test]
fn endless_references_are_refused() {
    let _turn = TURN.lock().unwrap();
    let refused = |bytes: Vec<u8>, part: &str| {
        let error = attack(&bytes, part).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    // A header whose continuation block is the header itself.
    refused(with_root(|address| header(0x10, [address + 16, 24])), "a header of more than 256 blocks");
    // A node that is its own child.
    refused(with_root(|address| group(address, 1, address + 80, 3)), "below level 1");
    // 60,000 times the same table of 60,000 soft links.
    let tables = with_root(|address| {
        const MANY: u16 = 60_000;
        let mut bytes = group(address, 0, address + 104 + 16 * u64::from(MANY), MANY);
        bytes.extend(*b"SNOD\x01\0");
        bytes.extend(MANY.to_le_bytes());
        let mut link = [0; 40];
        link[16] = 2;
        (0..MANY).for_each(|_| bytes.extend(link));
        bytes
    });
    refused(tables, "without end");
}
