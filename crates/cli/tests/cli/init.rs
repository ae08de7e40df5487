//! `--init`: initial weights from safetensors files of other programs, valid and invalid.

use std::fs;

use serde_json::json;

use crate::sandbox::{Sandbox, weights_sha256};
use crate::tensors::{Tensor, dense_stack, to_bytes, with_header};

/// Trains from the weights in `start.safetensors`, with 20 inputs, 6 hidden units and 3 classes.
const TRAIN: &str = "train --dataset custom --data-dir set --out run --epochs 1 --batch-size 7 --hidden 6 \
                     --init start.safetensors --no-shuffle";

fn fitting() -> Vec<Tensor> {
    dense_stack(&[20, 6, 3], 1)
}

#[test]
fn the_seed_has_no_effect_with_initial_weights_and_without_shuffling() {
    let sandbox = Sandbox::with_tiny_set();
    fs::write(sandbox.path("start.safetensors"), to_bytes(&fitting())).unwrap();
    let train = |more: &str, out: &str| {
        sandbox.succeed(&format!("{TRAIN} {more}").replace("--out run", &format!("--out {out}")));
        weights_sha256(&sandbox.path(out))
    };
    let first = train("", "a");
    assert_eq!(train("", "b"), first);
    // The seed determines nothing else.
    assert_eq!(train("--seed 5", "c"), first);

    // The order of the tensors in the file has no effect.
    let mut reversed = fitting();
    reversed.reverse();
    fs::write(sandbox.path("start.safetensors"), to_bytes(&reversed)).unwrap();
    assert_eq!(train("", "d"), first);

    fs::write(sandbox.path("start.safetensors"), to_bytes(&dense_stack(&[20, 6, 3], 9))).unwrap();
    assert_ne!(train("", "e"), first);
}

#[test]
fn a_saved_model_gives_initial_weights() {
    let sandbox = Sandbox::with_tiny_set();
    fs::write(sandbox.path("start.safetensors"), to_bytes(&fitting())).unwrap();
    sandbox.succeed(TRAIN);
    sandbox.succeed(
        &TRAIN.replace("--out run", "--out further").replace("start.safetensors", "run/model.safetensors"),
    );
    assert_ne!(weights_sha256(&sandbox.path("run")), weights_sha256(&sandbox.path("further")));
}

#[track_caller]
fn refused(bytes: &[u8], words: &[&str]) {
    let sandbox = Sandbox::with_tiny_set();
    fs::write(sandbox.path("start.safetensors"), bytes).unwrap();
    let outcome = sandbox.refuse(TRAIN, &["start.safetensors"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    outcome.refused(words);
}

#[test]
fn other_shapes_are_refused_with_the_name_of_the_tensor() {
    refused(&to_bytes(&dense_stack(&[20, 7, 3], 1)), &["dense", "7", "6"]);
    refused(&to_bytes(&dense_stack(&[784, 6, 3], 1)), &["dense.kernel", "784", "20"]);
    refused(&to_bytes(&dense_stack(&[20, 6, 10], 1)), &["dense_1", "10", "3"]);
    let mut transposed = fitting();
    transposed[0].shape = vec![6, 20];
    refused(&to_bytes(&transposed), &["dense.kernel"]);
    let mut flat = fitting();
    flat[0].shape = vec![120];
    refused(&to_bytes(&flat), &["dense.kernel", "120"]);
}

#[test]
fn missing_and_extra_tensors_are_refused_by_name() {
    let mut missing = fitting();
    missing.remove(3);
    refused(&to_bytes(&missing), &["dense_1.bias"]);
    refused(&to_bytes(&dense_stack(&[20, 6], 1)), &["dense_1"]);
    refused(&to_bytes(&[]), &["dense.kernel"]);
    let mut extra = fitting();
    extra.push(Tensor::f32("dense_2.kernel", &[3, 3], 1));
    refused(&to_bytes(&extra), &["dense_2.kernel"]);
    let mut foreign = fitting();
    foreign.push(Tensor::f32("conv.kernel", &[3], 1));
    refused(&to_bytes(&foreign), &["conv.kernel"]);
}

#[test]
fn other_data_types_are_refused() {
    let mut doubles = fitting();
    for tensor in &mut doubles {
        tensor.dtype = "F64";
        tensor.bytes = vec![0; 2 * tensor.bytes.len()];
    }
    refused(&to_bytes(&doubles), &["F64", "F32"]);
    let mut whole = fitting();
    whole[1].dtype = "I32";
    refused(&to_bytes(&whole), &["dense.bias", "I32", "F32"]);
}

#[test]
fn broken_files_are_refused() {
    let good = to_bytes(&fitting());
    for length in [0, 1, 7, 8, 9, 100, good.len() / 2, good.len() - 1] {
        refused(&good[..length], &[]);
    }
    let mut longer = good.clone();
    longer.push(0);
    refused(&longer, &[]);
    refused(b"<html><body>404 Not Found</body></html>", &[]);

    // Headers of more data than the file has.
    let mut huge = good.clone();
    huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    refused(&huge, &[]);
    let mut gigabytes = good.clone();
    gigabytes[..8].copy_from_slice(&(1_u64 << 33).to_le_bytes());
    refused(&gigabytes, &[]);
    let overflow = u64::MAX / 4;
    let outside =
        json!({"dense.kernel": {"dtype": "F32", "shape": [overflow, overflow], "data_offsets": [0, 16]}});
    refused(&with_header(&outside, &[0; 16]), &[]);
    let backward = json!({"dense.kernel": {"dtype": "F32", "shape": [4], "data_offsets": [16, 0]}});
    refused(&with_header(&backward, &[0; 16]), &[]);
    refused(&with_header(&json!([1, 2, 3]), &[]), &[]);
    refused(&with_header(&json!({"dense.kernel": 5}), &[]), &[]);
}

#[test]
fn nan_weights_are_refused_with_the_step() {
    let mut broken = fitting();
    broken[0].bytes[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    let sandbox = Sandbox::with_tiny_set();
    fs::write(sandbox.path("start.safetensors"), to_bytes(&broken)).unwrap();
    let outcome = sandbox.refuse(TRAIN, &["NaN"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
}

#[test]
fn a_missing_file_and_a_folder_are_refused() {
    let sandbox = Sandbox::with_tiny_set();
    let outcome = sandbox.refuse(TRAIN, &["start.safetensors"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    fs::create_dir(sandbox.path("start.safetensors")).unwrap();
    let outcome = sandbox.refuse(TRAIN, &["start.safetensors"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
}
