//! Malformed model files: each is rejected, or has a unique meaning, and takes memory in proportion to its length.
#![allow(clippy::unwrap_used, reason = "a failure is the test's")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use ziffer_nn::{Activation, Model, Sequential};

/// The system's allocator. It records the largest allocation.
struct RecordingAllocator;

static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed to the system's allocator unchanged; the default methods use these two.
unsafe impl GlobalAlloc for RecordingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's contract is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from the system's allocator, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: RecordingAllocator = RecordingAllocator;

/// Loads a model from these bytes. No allocation may be larger than a multiple of the file.
#[track_caller]
fn load(bytes: &[u8]) -> Result<Model, String> {
    const FACTOR: usize = 16;
    const CONSTANT: usize = 1 << 16;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    std::fs::write(&path, bytes).unwrap();
    LARGEST.store(0, Ordering::Relaxed);
    let outcome = Model::load(&path);
    let largest = LARGEST.load(Ordering::Relaxed);
    assert!(
        largest <= FACTOR * bytes.len() + CONSTANT,
        "an allocation of {largest} bytes, the file has {}",
        bytes.len()
    );
    outcome.map_err(|error| {
        let message = chain(&error);
        assert!(message.contains("model.safetensors"), "{message}");
        assert!(!message.contains(char::is_control) && message.len() < 1000, "{message:?}");
        message
    })
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// A file of this header and these values.
fn file(header: &str, values: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), values].concat()
}

/// The header of a model with one Dense layer of `inputs` inputs and `units` outputs, followed by these tensors.
fn dense(inputs: u64, units: u64, tensors: &str) -> String {
    let config = json!({ "units": units, "activation": "linear" });
    let layer = json!({ "class_name": "Dense", "config": config });
    let architecture = json!({ "input_shape": [inputs], "layers": [layer] }).to_string();
    format!(r#"{{"__metadata__":{{"architecture":{}}}{tensors}}}"#, json!(architecture))
}

fn tensor(name: &str, shape: &str, start: u64, end: u64) -> String {
    format!(r#","{name}":{{"dtype":"F32","shape":{shape},"data_offsets":[{start},{end}]}}"#)
}

/// A single test, since all tests of a process share the allocator.
#[test]
fn malformed_files_are_rejected_without_a_panic_or_much_memory() {
    let good = dense(1, 1, &(tensor("dense.kernel", "[1,1]", 0, 4) + &tensor("dense.bias", "[1]", 4, 8)));
    assert_eq!(load(&file(&good, &[0; 8])).unwrap().parameters(), 2);
    let reject = |bytes: &[u8], part: &str| {
        let message = load(bytes).map(|model| model.summary()).unwrap_err();
        assert!(message.contains(part), "{message}, expected: {part}");
    };

    // Wrong header lengths: 0, more than the file, more than the format allows, more than the memory.
    let whole = file(&good, &[0; 8]);
    for length in
        [0, 1, good.len() as u64 - 1, good.len() as u64 + 9, 100_000_000, 100_000_001, 1 << 40, u64::MAX]
    {
        reject(&[&length.to_le_bytes(), &whole[8..]].concat(), "not a whole safetensors file");
    }

    // Offsets that overlap, leave a gap, are reversed, or are out of bounds.
    for (kernel, bias) in [
        ((0, 4), (0, 4)),
        ((0, 4), (2, 6)),
        ((0, 4), (5, 9)),
        ((4, 0), (4, 8)),
        ((0, 4), (u64::MAX - 3, u64::MAX)),
    ] {
        let tensors = tensor("dense.kernel", "[1,1]", kernel.0, kernel.1)
            + &tensor("dense.bias", "[1]", bias.0, bias.1);
        reject(&file(&dense(1, 1, &tensors), &[0; 8]), "not a whole safetensors file");
    }

    // Shapes whose products overflow, or wrap to what is there.
    for shape in [
        "[18446744073709551615,2]",
        "[4294967296,4294967296]",
        "[4611686018427387905,1]",
        "[-1,-1]",
        "[1e0,1]",
        "[99999999999999999999]",
    ] {
        let tensors = tensor("dense.kernel", shape, 0, 4) + &tensor("dense.bias", "[1]", 4, 8);
        reject(&file(&dense(1, 1, &tensors), &[0; 8]), "not a whole safetensors file");
    }

    // Networks that are larger than their file, up to the largest that there may be and beyond.
    for (inputs, units) in [(1 << 10, 1 << 10), (1 << 14, 1 << 15), (1 << 29, 1), (1, 1 << 29)] {
        reject(&file(&dense(inputs, units, ""), &[]), "has no tensor dense.kernel");
        let kernel = tensor("dense.kernel", "[1,1]", 0, 4);
        reject(&file(&dense(inputs, units, &kernel), &[0; 4]), "tensor dense.kernel is F32 of shape [1, 1]");
    }
    for (inputs, units) in [(1 << 30, 2), (u64::MAX, 1), (1, u64::MAX), (1 << 32, 1 << 32)] {
        reject(&file(&dense(inputs, units, ""), &[]), "the architecture");
    }

    // JSON of a depth that would exhaust the stack.
    let deep = "[".repeat(1 << 20);
    reject(&file(&deep, &[]), "not a whole safetensors file");
    reject(&file(&format!(r#"{{"a":{deep}"#), &[]), "not a whole safetensors file");
    let architecture = json!(format!(r#"{{"input_shape":{deep}"#));
    reject(
        &file(&format!(r#"{{"__metadata__":{{"architecture":{architecture}}}}}"#), &[]),
        "recursion limit",
    );

    // A name that appears twice counts once. The rest of the values then belongs to no tensor.
    let twice = tensor("dense.kernel", "[1,1]", 0, 4)
        + &tensor("dense.bias", "[1]", 4, 8)
        + &tensor("dense.bias", "[1]", 8, 12);
    reject(&file(&dense(1, 1, &twice), &[0; 12]), "not a whole safetensors file");
    let doubled = good.replacen(r#""__metadata__""#, r#""__metadata__":{},"__metadata__""#, 1);
    reject(&file(&doubled, &[0; 8]), "not a whole safetensors file");

    // An error message leaves out words that move the cursor or fill the screen of a terminal.
    for word in ["\\u001b[2J\\n", &"x".repeat(1 << 20)] {
        let kernel = tensor("dense.kernel", "[1,1]", 0, 4).replace("F32", word);
        reject(&file(&dense(1, 1, &kernel), &[0; 4]), "unknown variant");
        let tensors = tensor("dense.kernel", "[1,1]", 0, 4)
            + &tensor("dense.bias", "[1]", 4, 8)
            + &tensor(word, "[1]", 8, 12);
        reject(&file(&dense(1, 1, &tensors), &[0; 12]), "has a tensor");
    }

    // Names without an end of tensors without values.
    let mut empty = String::new();
    for index in 0..20_000 {
        write!(empty, r#","t{index}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#).unwrap();
    }
    reject(&file(&dense(1, 1, &empty), &[]), "has no tensor dense.kernel");
}

/// What is allowed is said in the docs: weights may be any numbers, and so may what the model then puts out.
/// Nothing is read of a file behind a header that does not speak of it.
#[test]
fn a_long_malformed_file_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    for start in [&[][..], &file("{}", &[]), &file(&tensor("a", "[1]", 0, 4), &[0; 4])] {
        std::fs::write(&path, start).unwrap();
        // Takes no room on the disk.
        std::fs::File::options().write(true).open(&path).unwrap().set_len(4 << 30).unwrap();
        LARGEST.store(0, Ordering::Relaxed);
        let message = chain(&Model::load(&path).unwrap_err());
        assert!(message.contains("not a whole safetensors file"), "{message}");
        // The other tests' too.
        assert!(LARGEST.load(Ordering::Relaxed) < 1 << 20);
    }
    // A folder in the place of a folder's model.
    let other = tempfile::tempdir().unwrap();
    std::fs::create_dir(other.path().join("model.safetensors")).unwrap();
    let message = chain(&Model::load(other.path()).unwrap_err());
    assert!(message.contains("not a regular file"), "{message}");
}

#[test]
fn nan_and_infinite_weights_are_loaded() {
    let mut model = Sequential::new([1]).dense(2, Activation::Softmax).build_zeroed().unwrap();
    model.for_each_weight_mut(|_, weight| weight[0] = f32::NAN);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    model.save(&path).unwrap();
    let loaded = Model::load(&path).unwrap();
    assert_eq!(loaded.weights_sha256(), model.weights_sha256());
    assert!(loaded.predict(ndarray::arr2(&[[1.0_f32]]).view())[[0, 0]].is_nan());
}
