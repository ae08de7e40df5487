//! Distorting an image in a step does not allocate, after the thread's first image.
#![allow(clippy::unwrap_used, reason = "a failure is the test's")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use ndarray::Array2;
use ziffer_dataset::augment::Distortion;
use ziffer_nn::{EpochSeed, Samples, WithLabels};
use ziffer_trainer::Augmented;

/// The system's allocator. It counts the allocations.
struct Counting;

static PIECES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed to the system's allocator unchanged; the default methods use these two.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        PIECES.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's contract is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from the system's allocator, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The only test of this program: the allocations of another test would be counted too.
#[test]
fn distorting_an_image_does_not_allocate() {
    let x = Array2::from_shape_fn((30, 784), |(n, pixel)| ((n + pixel) % 7 * 40) as u8);
    let classes = vec![0; 30];
    let plain = WithLabels::new(x.view(), &classes);
    let augmented = Augmented::new(&plain, [28, 28], Distortion::default()).unwrap();
    // One nested in another, and a third one: each has its own workspace.
    let twice = Augmented::new(&augmented, [28, 28], Distortion::default().times(0.5)).unwrap();
    let other = Augmented::new(&plain, [14, 56], Distortion::default()).unwrap();
    let mut out = vec![0; 784];
    let mut fill = |epoch| {
        for index in 0..30 {
            augmented.fill(index, Some(EpochSeed { seed: 1, epoch }), &mut out);
            twice.fill(index, Some(EpochSeed { seed: 1, epoch }), &mut out);
            other.fill(index, Some(EpochSeed { seed: 1, epoch }), &mut out);
        }
    };
    let before = PIECES.load(Ordering::Relaxed);
    fill(0);
    let after_first = PIECES.load(Ordering::Relaxed);
    assert!(after_first > before, "the first pictures ask for the thread's memory");
    fill(1);
    // The test harness's own thread may allocate a little. 90 images would make at least 90 allocations.
    let pieces = PIECES.load(Ordering::Relaxed) - after_first;
    assert!(pieces < 10, "{pieces} pieces for 90 pictures");
}
