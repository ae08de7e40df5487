"""Records the results of Keras's layers for a few numbers, and Keras's summary of a network.

A test compares the layers and the summary with them.

Run it from this folder. It takes half a minute. The output is committed; it is run again only for a new version of Keras.

    python3 -m venv ~/keras-env && ~/keras-env/bin/pip install -r requirements.txt
    ~/keras-env/bin/python layers.py

It writes, beside itself:

layers.json
    Numbers are float32, each with as many digits as tell it from its neighbors. Arrays are lists in row-major order;
    the case's "shape" is that of "x", "c", "y" and "d_x", all others are one number a channel. Channels come last.

    "batch_normalization": the cases. From the inputs "x", the weights "gamma", "beta", "moving_mean", "moving_variance"
    (gamma is missing if "scale" is false, beta if "center" is) and factors "c" come, for "training" and for "inference"
    each, the outputs "y" and the gradients of the sum of c * y, "d_x", "d_gamma" and "d_beta", and for "training" the
    moving averages after the call. The case "frozen" is a layer with trainable = False that is called in training mode:
    Keras then takes the moving averages, leaves them as they are, and does not list gamma and beta among the weights to
    train.

    "activations": for each name of ziffer's, outputs "y" and the gradient "d_x" of the sum of c * y by the inputs "x", of shape
    "shape". gelu_tanh is keras.activations.gelu(approximate=True), which has no name of its own in Keras.

    "layers": layers by "class" and "config", their settings in Keras's words. From "x", "c" and the weights by name come "y",
    "d_x" and the gradients "d_alpha" and the like. They compute the same in both modes.

    "rescaling": y = x * scale + offset, scale and offset rounded to float32, then the product, then the sum.

summary.txt, summary_frozen.txt
    What summary() prints of a network before it is compiled, without colors, 80 columns wide; and of the same network
    whose first Dense is frozen.
"""

import importlib.metadata
import json
import os
import platform
import re
from pathlib import Path

os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
# One thread and not oneDNN, so that sums take the same order on most machines.
os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "TF_ENABLE_ONEDNN_OPTS": "0"}
os.environ |= {"COLUMNS": "80"}

import keras
import numpy as np
import tensorflow as tf

HERE = Path(__file__).resolve().parent
SEED = 1
PARTS = ["gamma", "beta", "moving_mean", "moving_variance"]
MATRIX, PICTURES = [8, 5], [4, 3, 2, 3]
DEFAULTS = {"momentum": 0.99, "epsilon": 1e-3, "center": True, "scale": True}

# Name, shape, settings that differ from Keras's defaults.
NORMS = [
    ("default", MATRIX, {}),
    ("settings", MATRIX, {"momentum": 0.9, "epsilon": 1e-2}),
    ("no_center", MATRIX, {"center": False}),
    ("no_scale", MATRIX, {"scale": False}),
    ("neither", MATRIX, {"center": False, "scale": False}),
    ("pictures", PICTURES, {}),
    ("constant", MATRIX, {}),  # the same number in all samples of channels 1 and 3, variance 0
    ("one_sample", [1, 5], {}),
    ("frozen", MATRIX, {"trainable": False}),
]
ACTIVATIONS = [
    *["linear", "relu", "sigmoid", "tanh", "softmax", "elu", "selu", "gelu", "gelu_tanh", "silu", "softplus", "softsign"],
    *["leaky_relu", "relu6", "hard_sigmoid", "mish", "exponential"],
]
# Class, shape, settings.
LAYERS = [
    ("Activation", PICTURES, {"activation": "softmax"}),
    ("Activation", MATRIX, {"activation": "swish"}),
    ("LeakyReLU", MATRIX, {}),
    ("LeakyReLU", MATRIX, {"negative_slope": 0.1}),
    ("ReLU", MATRIX, {}),
    ("ReLU", MATRIX, {"max_value": 1.5}),
    ("ReLU", MATRIX, {"negative_slope": 0.25, "threshold": 0.5}),
    ("ReLU", MATRIX, {"max_value": 2.0, "negative_slope": 0.125, "threshold": 1.0}),
    ("ELU", MATRIX, {}),
    ("ELU", MATRIX, {"alpha": 0.4}),
    ("Softmax", MATRIX, {}),
    ("Softmax", PICTURES, {"axis": 3}),
    ("PReLU", MATRIX, {}),
    ("PReLU", PICTURES, {}),
    ("Reshape", PICTURES, {"target_shape": [-1, 2]}),
    ("GaussianNoise", MATRIX, {"stddev": 0.0}),
    ("LayerNormalization", MATRIX, {}),
    ("LayerNormalization", PICTURES, {"epsilon": 1e-2, "axis": 3}),
    ("LayerNormalization", MATRIX, {"center": False}),
    ("LayerNormalization", MATRIX, {"scale": False}),
    ("LayerNormalization", MATRIX, {"center": False, "scale": False}),
]
WEIGHTS = ["alpha", "gamma", "beta"]
RESCALINGS = [("pixels", 1 / 127.5, -1), ("numbers", 2.0, 0)]


def numbers(array):
    """The shortest decimal number that reads back as the same float32, for each element."""
    array = np.asarray(array)
    assert array.dtype == np.float32
    flat = [float(np.format_float_scientific(value, unique=True)) for value in array.ravel()]
    assert np.array_equal(np.array(flat).astype(np.float32), array.ravel())
    return flat


def gradients(layer, x, c, training):
    """Outputs, and the gradients of the sum of c * y."""
    weights = {name: getattr(layer, name, None) for name in WEIGHTS}
    # An ELU's alpha is a number.
    weights = {f"d_{name}": weight.value for name, weight in weights.items() if hasattr(weight, "value")}
    with tf.GradientTape() as tape:
        sources = {"d_x": tf.constant(x)} | weights
        tape.watch(list(sources.values()))
        y = layer(sources["d_x"]) if training is None else layer(sources["d_x"], training=training)
        total = tf.reduce_sum(tf.reshape(c, tf.shape(y)) * y)
    return {"y": numbers(y)} | {name: numbers(g) for name, g in tape.gradient(total, sources).items()}


def batch_normalization(rng, name, shape, settings):
    """One case: its inputs, and the layer's outputs in both modes."""
    channels = shape[-1]
    # Channels of their own mean and size.
    x = rng.normal(rng.normal(0, 2, channels), rng.uniform(0.2, 3, channels), shape).astype(np.float32)
    if name == "constant":
        x[:, 1], x[:, 3] = 0, 0.75
    c = rng.normal(0, 1, shape).astype(np.float32)
    values = {
        "gamma": rng.uniform(0.5, 1.5, channels) * rng.choice([-1, 1], channels),
        "beta": rng.normal(0, 1, channels),
        "moving_mean": rng.normal(0, 1, channels),
        "moving_variance": rng.uniform(0.1, 4, channels),
    }
    layer = keras.layers.BatchNormalization(**settings)
    layer.build([None, *shape[1:]])
    weights = {part: getattr(layer, part) for part in PARTS if getattr(layer, part) is not None}

    case = {"name": name, "shape": shape} | DEFAULTS | {"trainable": True} | settings
    case |= {"x": numbers(x), "c": numbers(c)}
    for part, weight in weights.items():
        weight.assign(values[part].astype(np.float32))
        case[part] = numbers(weight)
    case["inference"] = gradients(layer, x, c, False)
    assert all(case[part] == numbers(weight) for part, weight in weights.items())
    case["training"] = gradients(layer, x, c, True)
    case["training"] |= {part: numbers(weights[part]) for part in ("moving_mean", "moving_variance")}
    return case


def activation(rng, name):
    """One activation, for 16 rows of 8 numbers away from all kinks."""
    shape = [16, 8]
    x = (rng.normal(0, 1, shape) * rng.choice([0.1, 1, 3, 8], shape)).astype(np.float32)
    c = rng.normal(0, 1, shape).astype(np.float32)
    function = keras.activations.get("gelu" if name == "gelu_tanh" else name)
    arguments = {"approximate": True} if name == "gelu_tanh" else {"approximate": False} if name == "gelu" else {}
    case = {"name": name, "shape": shape, "x": numbers(x), "c": numbers(c)}
    return case | gradients(lambda x: function(x, **arguments), x, c, None)


def layer(rng, name, shape, settings):
    """One layer that computes the same in both modes."""
    x, c = (rng.normal(0, 2, shape).astype(np.float32) for _ in range(2))
    layer = getattr(keras.layers, name)(**settings)
    layer.build([None, *shape[1:]])
    case = {"class": name, "shape": shape, "config": settings, "x": numbers(x), "c": numbers(c)}
    for part in WEIGHTS:
        weight = getattr(layer, part, None)
        if hasattr(weight, "assign"):
            weight.assign(rng.normal(0, 1, weight.shape).astype(np.float32))
            case[part] = numbers(weight)
    return case | gradients(layer, x, c, None)


def rescaling(rng, name, scale, offset):
    x = np.arange(256) if name == "pixels" else rng.normal(0, 100, 40)
    x = x.astype(np.float32)
    y = keras.layers.Rescaling(scale, offset=offset)(x)
    return {"name": name, "scale": scale, "offset": offset, "x": numbers(x), "y": numbers(y)}


def summary(frozen):
    """The text of summary(), with the names that a first model of a program has."""
    keras.utils.clear_session()
    model = keras.Sequential(
        [
            keras.Input((28, 28)),
            keras.layers.Rescaling(1 / 127.5, offset=-1),
            keras.layers.Flatten(),
            keras.layers.Dense(128, activation="relu", trainable=not frozen),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    texts = []
    model.summary(print_fn=texts.append)
    return "".join(texts)


def main():
    rng = np.random.default_rng(SEED)
    norms = [batch_normalization(rng, *case) for case in NORMS]
    rescalings = [rescaling(rng, *case) for case in RESCALINGS]
    # Drawn on their own, so that the numbers above do not depend on them.
    rng = np.random.default_rng(SEED + 1)
    activations = [activation(rng, name) for name in ACTIVATIONS]
    layers = [layer(rng, *case) for case in LAYERS]
    packages = ["keras", "tensorflow-cpu", "numpy"]
    versions = {"python": platform.python_version()} | {p: importlib.metadata.version(p) for p in packages}
    record = {"versions": versions, "seed": SEED, "batch_normalization": norms, "rescaling": rescalings}
    record |= {"activations": activations, "layers": layers}
    text = json.dumps(record, indent=1)
    text = re.sub(r"\[[^][{}]*\]", lambda flat: " ".join(flat[0].split()), text)  # one list a line
    (HERE / "layers.json").write_text(text + "\n")
    for name, frozen in [("summary", False), ("summary_frozen", True)]:
        (HERE / f"{name}.txt").write_text(summary(frozen), encoding="utf-8")


main()
