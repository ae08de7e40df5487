"""Records Keras's losses of each step. A test compares the trainer with them.

Run it from this folder. It takes half a minute. The output is committed; it is run again only for a new version of Keras.

    python3 -m venv ~/keras-env && ~/keras-env/bin/pip install -r requirements.txt
    ~/keras-env/bin/python parity.py

It reads the MNIST training set from the project's data/mnist (or from --data DIR) and writes, beside itself:

initial.safetensors
    Initial weights of the network 784-128-64-10: Glorot uniform from a fixed seed, biases zero, float32; kernels are
    [inputs, outputs].
parity.json
    For each run (an optimizer and a number of steps) the loss of every step, three times over: from Keras on
    TensorFlow, from Keras on JAX, both in float32, and from the float64 reference in this file.

All start from initial.safetensors and go once through the first images of the training set, in the file's order, in
batches of 32, pixels divided by 255 in float32. A step's loss is the mean over its batch before the step's update.

Two right implementations in float32 drift apart slowly, so neither is compared with the other: each is compared with
the reference, which is NumPy in float64, written from the formulas of Keras 3 and sharing no code with it. Its
hyper-parameters are the decimal numbers as written. To show that the reference is Keras's arithmetic and not merely
close to it, the script also runs Keras in float64 and notes the largest distance, `float64_distance`; it fails if that
is above 1e-12. (This is done on JAX. On TensorFlow, Keras rounds beta and momentum to float32 even then.)

Of Keras's own distance under Adam and AdamW, nearly all is one rounding: 1 - beta_2^t with beta_2 in float32 is off by
1.3e-5 of its value, which makes Keras's steps too short by 6e-6 of theirs. The rest is ordinary rounding, around 3e-7.

The seed matters. If a pre-activation falls within rounding of zero, relu's derivative is 0 in one run and 1 in another,
and Adam, whose steps hardly depend on a gradient's size, turns that into a distance of 1e-2 within 50 steps. About one
seed in two meets such a point within these runs. This one does not, and the script fails if it ever should.

The backends differ in the cross-entropy. On TensorFlow, Keras finds the logits behind the softmax and applies
log-softmax to them; so does the reference. On JAX it divides the probabilities by their sum and clips them to
[1e-7, 1 - 1e-7], which has no effect worth noting while no image's probability comes near a bound, as here early in
training.
"""

import argparse
import gzip
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

HERE = Path(__file__).resolve().parent
SEED = 2  # no relu within rounding of its kink, see above
SIZES = [784, 128, 64, 10]
BATCH = 32
LAYERS = ["dense", "dense_1", "dense_2"]
BACKENDS = ["tensorflow", "jax"]

# Name, Keras class, hyper-parameters (all that count are spelled out; a learning rate may be a schedule), steps.
ADAM = {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "amsgrad": False}
SGD = {"learning_rate": 0.01, "momentum": 0.9, "nesterov": False}
RMSPROP = {"learning_rate": 0.001, "rho": 0.9, "momentum": 0.0, "epsilon": 1e-7, "centered": False}
NADAM = {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
LION = {"learning_rate": 0.0003, "beta_1": 0.9, "beta_2": 0.99}
DECAY = {"class": "ExponentialDecay", "initial_learning_rate": 0.001, "decay_steps": 10, "decay_rate": 0.8}
RUNS = [
    ("adam", "Adam", ADAM, 200),
    ("sgd_momentum", "SGD", SGD, 50),
    ("sgd_nesterov", "SGD", SGD | {"nesterov": True}, 50),
    ("rmsprop", "RMSprop", RMSPROP, 50),
    ("adamw", "AdamW", ADAM | {"weight_decay": 0.004}, 50),
    ("sgd_decay", "SGD", SGD | {"weight_decay": 0.1}, 50),
    ("rmsprop_centered", "RMSprop", RMSPROP | {"learning_rate": 0.0001, "momentum": 0.9, "centered": True}, 50),
    ("nadam", "Nadam", NADAM | {"learning_rate": 0.002, "weight_decay": 0.01}, 50),
    ("lion", "Lion", LION | {"weight_decay": 0.04}, 50),
    ("adam_schedule", "Adam", ADAM | {"learning_rate": DECAY}, 50),
]


def initial_weights():
    """Glorot uniform: U(-limit, limit), limit = sqrt(6 / (inputs + outputs))."""
    rng = np.random.default_rng(SEED)
    tensors = {}
    for layer, inputs, outputs in zip(LAYERS, SIZES, SIZES[1:]):
        limit = np.sqrt(6 / (inputs + outputs))
        tensors[f"{layer}.kernel"] = rng.uniform(-limit, limit, (inputs, outputs)).astype(np.float32)
        tensors[f"{layer}.bias"] = np.zeros(outputs, np.float32)
    return tensors


def load_weights():
    """The saved weights in Keras's order: kernel, bias, kernel, bias, ..."""
    tensors = load_file(HERE / "initial.safetensors")
    return [tensors[f"{layer}.{part}"] for layer in LAYERS for part in ("kernel", "bias")]


def load_batches(folder, steps):
    """The first `steps` batches: pixels [BATCH, 28, 28] in float32, labels [BATCH]."""
    count = steps * BATCH
    with gzip.open(folder / "train-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(16 + count * 784), np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(folder / "train-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(8 + count), np.uint8, offset=8)
    pixels = pixels.astype(np.float32) / np.float32(255)
    return [(pixels[i : i + BATCH], labels[i : i + BATCH]) for i in range(0, count, BATCH)]


# The reference, in float64.


def loss_and_gradients(weights, x, y):
    """Mean cross-entropy of a batch, and its gradient for each of `weights`."""
    kernels, biases = weights[::2], weights[1::2]
    rows = np.arange(len(y))

    inputs = [x.reshape(len(x), -1)]  # of each layer
    for kernel, bias in zip(kernels[:-1], biases[:-1]):
        inputs.append(np.maximum(inputs[-1] @ kernel + bias, 0))
    logits = inputs[-1] @ kernels[-1] + biases[-1]

    shifted = logits - logits.max(axis=1, keepdims=True)
    log_softmax = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    loss = -log_softmax[rows, y].mean()

    d_outputs = np.exp(log_softmax)
    d_outputs[rows, y] -= 1
    d_outputs /= len(y)
    gradients = []
    for layer in reversed(range(len(kernels))):
        gradients = [inputs[layer].T @ d_outputs, d_outputs.sum(axis=0)] + gradients
        if layer > 0:
            d_outputs = d_outputs @ kernels[layer].T * (inputs[layer] > 0)
    return loss, gradients


def adam(h, t, w, g, slots):
    """Step t = 1, 2, ... Epsilon stands outside the root, and the bias correction does not reach it."""
    m, v = slots.get("m", 0), slots.get("v", 0)
    alpha = h["learning_rate"] * np.sqrt(1 - h["beta_2"] ** t) / (1 - h["beta_1"] ** t)
    slots["m"] = m + (g - m) * (1 - h["beta_1"])
    slots["v"] = v + (g * g - v) * (1 - h["beta_2"])
    return w - alpha * slots["m"] / (np.sqrt(slots["v"]) + h["epsilon"])


def nadam(h, t, w, g, slots):
    """The momentum's schedule u has a product, which starts at 1; epsilon stands outside the corrected root."""
    m, v, product = slots.get("m", 0), slots.get("v", 0), slots.get("product", 1.0)
    u, next_u = (h["beta_1"] * (1 - 0.5 * 0.96**i) for i in (t, t + 1))
    slots["m"] = m + (g - m) * (1 - h["beta_1"])
    slots["v"] = v + (g * g - v) * (1 - h["beta_2"])
    slots["product"] = product * u
    ahead = next_u * slots["m"] / (1 - slots["product"] * next_u) + (1 - u) * g / (1 - slots["product"])
    return w - h["learning_rate"] * ahead / (np.sqrt(slots["v"] / (1 - h["beta_2"] ** t)) + h["epsilon"])


def lion(h, t, w, g, slots):
    """The direction is the sign of one average, and what is kept is another."""
    m = slots.get("m", 0)
    slots["m"] = h["beta_2"] * m + (1 - h["beta_2"]) * g
    return w - h["learning_rate"] * np.sign(h["beta_1"] * m + (1 - h["beta_1"]) * g)


def sgd(h, t, w, g, slots):
    """The momentum holds the learning rate; Nesterov looks one more step ahead with the same gradient."""
    step = h["learning_rate"] * g
    slots["m"] = h["momentum"] * slots.get("m", 0) - step
    return w + (h["momentum"] * slots["m"] - step if h["nesterov"] else slots["m"])


def rmsprop(h, t, w, g, slots):
    """Epsilon stands inside the root, unlike Adam's. The averages start at zero, uncorrected."""
    slots["v"] = h["rho"] * slots.get("v", 0) + (1 - h["rho"]) * g * g
    slots["a"] = h["rho"] * slots.get("a", 0) + (1 - h["rho"]) * g
    variance = slots["v"] - slots["a"] ** 2 if h["centered"] else slots["v"]
    step = h["learning_rate"] * g / np.sqrt(variance + h["epsilon"])
    slots["m"] = h["momentum"] * slots.get("m", 0) + step
    return w - slots["m"]


UPDATES = {"Adam": adam, "AdamW": adam, "SGD": sgd, "RMSprop": rmsprop, "Nadam": nadam, "Lion": lion}


def at_step(hyper, step):
    """The hyper-parameters of the update after `step` others."""
    rate = hyper["learning_rate"]
    if isinstance(rate, dict):
        exponent = step / rate["decay_steps"]
        rate = rate["initial_learning_rate"] * rate["decay_rate"] ** exponent
    return hyper | {"learning_rate": rate}


def update(kind, hyper, t, w, g, slots):
    """Decay first, of kernels and biases alike; the gradient is that of the weights before their decay."""
    h = at_step(hyper, t - 1)
    return UPDATES[kind](h, t, w - w * h.get("weight_decay", 0) * h["learning_rate"], g, slots)


def reference(kind, hyper, batches):
    """The losses of one run in float64."""
    weights = [w.astype(np.float64) for w in load_weights()]
    slots = [{} for _ in weights]
    losses = []
    for t, (x, y) in enumerate(batches, 1):
        loss, gradients = loss_and_gradients(weights, x.astype(np.float64), y)
        weights = [update(kind, hyper, t, w, g, s) for w, g, s in zip(weights, gradients, slots)]
        losses.append(float(loss))
    return losses


# Keras, in a process of its own for each backend and type.


def keras_losses(kind, hyper, batches):
    """The losses of one run in Keras."""
    import keras

    model = keras.Sequential(
        [
            keras.Input((28, 28)),
            keras.layers.Flatten(),
            keras.layers.Dense(SIZES[1], activation="relu"),
            keras.layers.Dense(SIZES[2], activation="relu"),
            keras.layers.Dense(SIZES[3], activation="softmax"),
        ]
    )
    model.set_weights(load_weights())
    if isinstance(hyper["learning_rate"], dict):
        settings = dict(hyper["learning_rate"])
        rate = getattr(keras.optimizers.schedules, settings.pop("class"))(**settings)
        hyper = hyper | {"learning_rate": rate}
    optimizer = getattr(keras.optimizers, kind)(**hyper)
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    losses = []
    for x, y in batches:
        # Returns means since the last reset of the metrics, so that each step needs its own reset.
        model.reset_metrics()
        losses.append(float(model.train_on_batch(x, y, return_dict=True)["loss"]))
    return losses


def record_keras(folder, floatx):
    """The child process: the losses of all runs, as JSON on the last line of its output."""
    import keras

    keras.config.set_floatx(floatx)
    runs = {name: keras_losses(kind, hyper, load_batches(folder, steps)) for name, kind, hyper, steps in RUNS}
    print(json.dumps(runs))


def start_keras(backend, folder, floatx, script=__file__):
    """Runs the script's `record_keras` with the backend and type asked for."""
    env = os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    env |= {"JAX_PLATFORMS": "cpu", "JAX_ENABLE_X64": str(floatx == "float64")}
    command = [sys.executable, script, "--data", folder, "--record", floatx]
    output = subprocess.run(command, env=env, stdout=subprocess.PIPE, check=True, text=True).stdout
    return json.loads(output.splitlines()[-1])


def versions():
    """Of Python and of what computes."""
    packages = ["keras", "tensorflow-cpu", "jax", "jaxlib", "numpy", "safetensors"]
    return {"python": platform.python_version()} | {p: importlib.metadata.version(p) for p in packages}


def write_json(name, record):
    """Writes a file beside this one, each list of numbers on a line."""
    text = json.dumps(record, indent=1)
    text = re.sub(r"\[[^][{}]*\]", lambda flat: " ".join(flat[0].split()), text)
    (HERE / name).write_text(text + "\n")


def distances(losses, expected):
    """Largest and mean distance."""
    distance = np.abs(np.subtract(losses, expected))
    return float(distance.max()), float(distance.mean())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=HERE.parents[3] / "data/mnist", help="folder of the .gz files")
    parser.add_argument("--record", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.record:
        return record_keras(args.data, args.record)

    save_file(initial_weights(), HERE / "initial.safetensors")
    keras = {backend: start_keras(backend, args.data, "float32") for backend in BACKENDS}
    keras_f64 = start_keras("jax", args.data, "float64")

    runs = []
    print(f"{'run':<14}{'backend':<22}{'largest |distance|':>20}{'mean |distance|':>20}")
    for name, kind, hyper, steps in RUNS:
        expected = reference(kind, hyper, load_batches(args.data, steps))
        losses = {backend: keras[backend][name] for backend in BACKENDS}
        for backend, values in (losses | {"jax, float64": keras_f64[name]}).items():
            largest, mean = distances(values, expected)
            print(f"{name:<14}{backend:<22}{largest:>20.3e}{mean:>20.3e}")
        run = {"name": name, "optimizer": {"kind": kind.lower()} | hyper, "steps": steps}
        run |= {"float64_distance": largest, "reference": expected, "keras": losses}
        runs.append(run)

    record = {"versions": versions(), "initial": "initial.safetensors", "seed": SEED, "sizes": SIZES, "batch_size": BATCH}
    write_json("parity.json", record | {"runs": runs})
    if any(run["float64_distance"] > 1e-12 for run in runs):
        sys.exit("the reference is not what Keras computes in float64")
    if any(distances(losses, run["reference"])[0] > 1e-4 for run in runs for losses in run["keras"].values()):
        sys.exit("a float32 run has met a kink: choose another seed")


if __name__ == "__main__":
    main()
