//! Files that are refused, and the messages.

use serde_json::{Value, json};
use ziffer_formats::keras::{Options, import};

use crate::support::{self, archive, changed, entries, layer, layers};

#[track_caller]
fn refused(bytes: &[u8], line: &str) {
    let error = import(bytes, &Options::default()).unwrap_err();
    assert_eq!(support::chain(&error), line);
}

/// `digits.keras` with a change to its layers: InputLayer, Flatten, Dense, Dense.
#[track_caller]
fn digits(change: impl FnOnce(&mut Vec<Value>), line: &str) {
    refused(&changed("digits.keras", |config| change(layers(config))), line);
}

/// `layers.keras` with a change to its layers: pixels, rescaling, flatten, dropout, wide, re_lu, dense, narrow, softmax.
#[track_caller]
fn functional(change: impl FnOnce(&mut Vec<Value>), line: &str) {
    refused(&changed("layers.keras", |config| change(layers(config))), line);
}

/// A file in which some bytes are replaced by others.
fn replaced(name: &str, from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = support::fixture(name);
    let places: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(from)).collect();
    assert!(!places.is_empty());
    places.into_iter().for_each(|at| bytes[at..at + to.len()].copy_from_slice(to));
    bytes
}

#[test]
fn other_files() {
    let line = "neither an HDF5 file nor a ZIP archive, expected a .keras, .weights.h5 or .h5 file of Keras";
    for bytes in [&b""[..], b"PK", b"<html>404 Not Found</html>", &[0; 100]] {
        refused(bytes, line);
    }
    refused(&archive(&[("a.txt", b"a")]), ".keras archive: has no config.json; was it saved by Keras 3?");
    let only = archive(&[("config.json", entries("digits.keras").0.to_string().as_bytes())]);
    refused(&only, ".keras archive: has no model.weights.h5; was it saved by Keras 3?");
    let mut changed = archive(&[("config.json", br#"{"class_name":"Sequential"}"#)]);
    let content = changed.windows(10).position(|window| window == b"Sequential").unwrap();
    changed[content] ^= 1;
    refused(&changed, ".keras archive: config.json is damaged: Invalid checksum");
    let mut cut = support::fixture("digits.h5");
    cut.truncate(40_000);
    refused(&cut, "HDF5 file: truncated: 40000 bytes of 46016");
    refused(
        &replaced("digits.weights.h5", b"layers\0", b"Layers\0"),
        "no Keras weights in the HDF5 file, expected the attribute model_config or layer_names, or the group layers",
    );
}

#[test]
fn compressed_entries_and_weights() {
    let mut bytes = archive(&[("config.json", b"{}")]);
    let central = bytes.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    // The method, in both headers.
    bytes[8] = 8;
    bytes[central + 10] = 8;
    refused(
        &bytes,
        ".keras archive: config.json is compressed (Deflated), expected a stored entry as Keras writes it; \
         repack with zip -0",
    );
    refused(
        &support::fixture("small-3-compressed.weights.h5"),
        "layers/dense/vars/0: stored in chunks and perhaps compressed, expected contiguous storage as Keras writes \
         it; repack with h5repack -f NONE -l CONTI",
    );
}

#[test]
fn invalid_architectures() {
    let weights = entries("digits.keras").1;
    let with = |json: &[u8]| archive(&[("config.json", json), ("model.weights.h5", &weights)]);
    refused(&with(b"{"), "config.json: not valid JSON: EOF while parsing an object at line 1 column 1");
    refused(&with(&[b' '; (1 << 18) + 1]), "config.json: 262145 bytes, expected at most 262144");
    let deep = b"[".repeat(1000);
    refused(&with(&deep), "config.json: not valid JSON: recursion limit exceeded at line 1 column 128");
    refused(&with(b"7"), "the model has no class_name; was the file saved by Keras?");
    refused(
        &with(br#"{"class_name":"Mine","config":{}}"#),
        "the model is a Mine without a list of layers, expected a Sequential or a Functional",
    );
    refused(
        &with(br#"{"class_name":"Mine","config":{"layers":[]}}"#),
        "the model is a Mine, expected a Sequential or a Functional",
    );
    digits(|layers| layers.truncate(2), "the model has no Dense layer");
}

#[test]
fn unsupported_layers_are_named_with_their_position() {
    let none = "this class is not supported, expected InputLayer, Rescaling, Flatten, Reshape, Dense, Activation, ReLU, LeakyReLU, \
                PReLU, ELU, Softmax, Dropout, GaussianNoise, BatchNormalization, LayerNormalization or a registered class";
    digits(
        |layers| layers.insert(2, layer("LSTM", json!({ "name": "cells" }))),
        &format!("layer 3, cells (LSTM): {none}"),
    );
    digits(
        |layers| layers[1]["module"] = json!("mine.layers"),
        &format!("layer 2, flatten (mine.layers.Flatten): {none}"),
    );
    digits(
        |layers| layers.insert(1, layer("Conv2D", json!({ "name": "x".repeat(1000) }))),
        &format!("layer 2, {}... (Conv2D): {none}", "x".repeat(60)),
    );
    digits(|layers| layers[2] = json!({}), &format!("layer 3, without a name (no class_name): {none}"));
    digits(
        |layers| layers[1]["class_name"] = json!("Two\nlines"),
        &format!("layer 2, flatten (Two\\nlines): {none}"),
    );
}

#[test]
fn unsupported_settings() {
    digits(
        |layers| layers[2]["config"]["activation"] = json!("glu"),
        "layer 3, dense (Dense): unknown activation \"glu\", expected linear, relu, sigmoid, tanh, softmax, elu, selu, gelu, \
         gelu_tanh, silu, softplus, softsign, leaky_relu, relu6, hard_sigmoid, mish or exponential",
    );
    digits(
        |layers| layers[2]["config"]["activation"] = json!({ "class_name": "function", "config": "mine" }),
        "layer 3, dense (Dense): a custom activation, mine; only Keras's own are supported",
    );
    digits(
        |layers| layers[1]["config"]["data_format"] = json!("channels_first"),
        "layer 2, flatten (Flatten): data_format \"channels_first\", expected channels_last",
    );
    digits(
        |layers| drop(layers.remove(1)),
        "layer 2, dense (Dense): its input has shape [28, 28], expected a Flatten before it",
    );
    digits(
        |layers| layers[0]["config"]["batch_shape"] = json!([null, null, 28]),
        "layer 1, input_layer (InputLayer): its input has shape [null,null,28], expected known sizes",
    );
    digits(
        |layers| layers.insert(1, layers[0].clone()),
        "layer 2, input_layer (InputLayer): an input layer behind the first layer",
    );
    digits(
        |layers| layers[2]["config"]["units"] = json!(-1),
        "layer 3, dense (Dense): no units, expected a positive integer",
    );
    functional(
        |layers| layers[5]["config"]["max_value"] = json!(-6),
        "layer 6, re_lu (ReLU): max_value is -6, expected a finite number of at least 0",
    );
    functional(
        |layers| layers[8]["config"]["axis"] = json!(2),
        "layer 9, softmax (Softmax): axis is 2, expected -1, the last one",
    );
}

#[test]
fn settings_of_other_layers() {
    functional(
        |layers| layers[1]["config"]["scale"] = json!([0.5, 0.5]),
        "layer 2, rescaling (Rescaling): scale is [0.5,0.5], expected a number",
    );
    functional(
        |layers| layers[3]["config"]["rate"] = json!(null),
        "layer 4, dropout (Dropout): no rate, expected a number",
    );
    functional(
        |layers| layers[3]["config"]["noise_shape"] = json!([null, 1]),
        "layer 4, dropout (Dropout): noise_shape is [null,1], expected none",
    );
    let norm = |setting: &str, value: Value, problem: &str| {
        let bytes = changed("norm.keras", |config| layers(config)[4]["config"][setting] = value);
        refused(&bytes, &format!("layer 5, batch_normalization (BatchNormalization): {problem}"));
    };
    norm("axis", json!(0), "axis is 0, expected -1");
    norm("axis", json!([1, 2]), "axis is [1,2], expected -1");
    norm("axis", json!("last"), "axis is \"last\", expected -1");
    norm("renorm", json!(true), "renorm is true, expected false");
    norm("virtual_batch_size", json!(8), "virtual_batch_size is 8, expected none");
    norm("epsilon", json!(0), "epsilon is 0, expected a positive number");
    norm("momentum", json!("much"), "momentum is \"much\", expected a number");
    // The last axis by its number, and in the list that it was before Keras 3.
    for axis in [json!(1), json!([1]), json!([-1])] {
        let bytes = changed("norm.keras", |config| layers(config)[4]["config"]["axis"] = axis);
        import(&bytes, &Options::default()).unwrap();
    }
}

#[test]
fn settings_of_activations_that_are_layers() {
    let last = |class: &str, config: Value, problem: &str| {
        digits(|layers| layers.push(layer(class, config)), &format!("layer 5, late ({class}): {problem}"));
    };
    last("PReLU", json!({ "name": "late", "shared_axes": [1] }), "shared_axes is [1], expected none");
    last("Softmax", json!({ "name": "late", "axis": [0, 1] }), "axis is [0,1], expected one axis");
    last("Activation", json!({ "name": "late", "activation": "glu" }), &{
        let expected = "linear, relu, sigmoid, tanh, softmax, elu, selu, gelu, gelu_tanh, silu, softplus, softsign, leaky_relu, \
                        relu6, hard_sigmoid, mish or exponential";
        format!("unknown activation \"glu\", expected {expected}")
    });
    last(
        "Reshape",
        json!({ "name": "late", "target_shape": [3, -1] }),
        "target_shape is [3, -1], which does not fit [10]",
    );
    digits(
        |layers| layers.push(layer("LayerNormalization", json!({ "name": "late" }))),
        "the model ends in late without an activation, so that it returns logits; add a softmax in Keras, \
         model.add(keras.layers.Softmax()), and save again",
    );
    digits(
        |layers| layers.push(layer("BatchNormalization", json!({ "name": "norm" }))),
        "the model ends in norm without an activation, so that it returns logits; add a softmax in Keras, \
         model.add(keras.layers.Softmax()), and save again",
    );
    digits(
        |layers| layers[3]["config"]["activation"] = json!("linear"),
        "the model ends in dense_1 without an activation, so that it returns logits; add a softmax in Keras, \
         model.add(keras.layers.Softmax()), and save again",
    );
}

#[test]
fn networks_with_branches() {
    let from =
        |name: &str| json!([{ "args": [{ "config": { "keras_history": [name, 0, 0] } }], "kwargs": {} }]);
    functional(
        |layers| layers[5]["inbound_nodes"] = from("dropout"),
        "layer 6, re_lu (ReLU): takes the output of dropout, expected wide: only a stack of layers is supported",
    );
    functional(
        |layers| layers[5]["inbound_nodes"] = json!([from("wide"), from("wide")]),
        "layer 6, re_lu (ReLU): takes the output of wide, wide, expected wide: only a stack of layers is supported",
    );
    functional(
        |layers| layers[0]["inbound_nodes"] = from("softmax"),
        "layer 1, pixels (InputLayer): takes the output of softmax, expected nothing: only a stack of layers is supported",
    );
    let two = changed("layers.keras", |config| {
        config["config"]["output_layers"] = json!([["wide", 0, 0], ["softmax", 0, 0]]);
    });
    refused(&two, "the model returns the output of wide, softmax, expected softmax, its last layer");
}

#[test]
fn weights_of_another_network() {
    digits(
        |layers| layers[2]["config"]["units"] = json!(9),
        "layers/dense/vars/0: kernel of shape [784, 8], expected [784, 9] for dense",
    );
    digits(
        |layers| layers[3]["config"]["use_bias"] = json!(false),
        "layers/dense_1/vars: 0, 1, expected the weights of dense_1: kernel",
    );
    digits(
        |layers| layers[0]["config"]["batch_shape"] = json!([null, 28, 27]),
        "images of shape [28, 27] do not have the 784 inputs of the first Dense layer",
    );
    digits(
        |layers| layers.push(layers[3].clone()),
        "layers/dense_2/vars: empty, expected the weights of dense_1: kernel, bias",
    );
    refused(
        &replaced("digits.weights.h5", b"flatten\0", b"conv_2d\0"),
        "layers/conv_2d: not a Dense layer, and the file has no architecture; save the whole model as .keras",
    );
    refused(
        &replaced("digits.weights.h5", b"dense_1\0", b"dense_2\0"),
        "layers/dense_1/vars: missing, but later layers exist",
    );
    refused(
        &replaced("small-2-weights.h5", b"dense/kernel:0", b"dense/gammas:0"),
        "dense: dense/gammas:0, dense/bias:0, expected a kernel and perhaps a bias, since the file has no architecture; save \
         the whole model",
    );
}

#[test]
fn an_input_shape_that_no_layer_has_is_inferred() {
    for (built, shape) in [(Value::Null, [28, 28]), (json!([null, 14, 56]), [14, 56])] {
        let bytes = changed("digits.keras", |config| {
            config["config"]["build_input_shape"] = built;
            layers(config).remove(0);
        });
        assert_eq!(import(&bytes, &Options::default()).unwrap().model.input_shape(), shape);
    }
}
