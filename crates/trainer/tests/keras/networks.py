"""Records Keras's results with each layer, activation, loss and schedule. A test compares the trainer with them.

Run it from this folder. It takes some minutes. The output is committed; it is run again only for a new version of Keras.

    python3 -m venv ~/keras-env && ~/keras-env/bin/pip install -r requirements.txt
    ~/keras-env/bin/python networks.py

It reads the MNIST training set from the project's data/mnist (or from --data DIR) and writes, beside itself:

networks.safetensors
    Initial kernels and biases: Glorot uniform from a fixed seed, biases small numbers, float32.
networks.json
    "runs": networks of Flatten, Dense with 24 units, the layers of the run, and a Dense, trained for 50 steps in batches
    of 32 as in parity.py, whose text says what "reference" and "keras" are. Here the reference is written with jax.numpy
    in float64, from the formulas in Keras's documentation, and its gradients are JAX's. All other weights begin as Keras
    begins them: zeros, or ones for gamma. In float64, Keras's largest distance from it, "float64_distance", is below
    1e-12, or below 1e-7 where Keras rounds to float32 even then: on JAX in its mean, its smoothing and its schedules.

    "target" says what the network is to give: "class" the digit, "one_hot" ten numbers, "is_odd" whether the digit is odd.

    "epochs": a network of gelu, silu, layer normalization and leaky relu under Nadam, four epochs of the first nine tenths
    of the training set in the file's order, with the last tenth for validation: Keras's losses of each epoch.
"""

import argparse
import json
import os
import sys
from pathlib import Path

import numpy as np
from parity import BATCH, HERE, distances, load_batches, start_keras, versions, write_json
from safetensors.numpy import load_file, save_file

SEED = 5
STEPS = 50
UNITS = 24
BACKENDS = ["tensorflow", "jax"]
ADAM = {"learning_rate": 0.002, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
SPARSE = ["SparseCategoricalCrossentropy", {}]


def run(name, layers=(), loss=SPARSE, target="class", last="softmax", rate=0.002):
    """A case: layers between the two Dense, the loss, what it is held to, the last activation, the rate or schedule."""
    return {"name": name, "layers": list(layers), "loss": loss, "target": target, "last": last, "learning_rate": rate}


def activation(name):
    return run(name, [["Activation", {"activation": name}]])


def schedule(name, **settings):
    """With the layer that Keras's tutorial has."""
    rate = {"class": name} | settings
    return run(name, [["Activation", {"activation": "tanh"}]], rate=rate)


NAMES = "elu selu gelu gelu_tanh silu softplus softsign leaky_relu relu6 hard_sigmoid mish exponential".split()
RUNS = [activation(name) for name in NAMES] + [
    run("LayerNormalization", [["LayerNormalization", {"epsilon": 0.001, "center": True, "scale": True}]]),
    run("LeakyReLU", [["LeakyReLU", {"negative_slope": 0.3}]]),
    run("PReLU", [["PReLU", {}]]),
    run("ELU", [["ELU", {"alpha": 0.7}]]),
    run("ReLU", [["ReLU", {"max_value": 3.0, "negative_slope": 0.1, "threshold": 0.2}]]),
    run("Softmax", [["Softmax", {}]]),
    run("Reshape", [["Reshape", {"target_shape": [4, 6]}], ["LayerNormalization", {"epsilon": 0.01}], ["Flatten", {}]]),
    run("label smoothing, class", [["ELU", {}]], ["SparseCategoricalCrossentropy", {"label_smoothing": 0.1}]),
    run("label smoothing, one hot", [["ELU", {}]], ["CategoricalCrossentropy", {"label_smoothing": 0.1}], "one_hot"),
    run("CategoricalCrossentropy", [["ELU", {}]], ["CategoricalCrossentropy", {}], "one_hot"),
    run("BinaryCrossentropy", [["ELU", {}]], ["BinaryCrossentropy", {"label_smoothing": 0.1}], "is_odd", "sigmoid"),
    run("MeanSquaredError", [["ELU", {}]], ["MeanSquaredError", {}], "one_hot", "linear"),
    run("MeanAbsoluteError", [["ELU", {}]], ["MeanAbsoluteError", {}], "one_hot", "sigmoid"),
    schedule("ExponentialDecay", initial_learning_rate=0.004, decay_steps=20, decay_rate=0.5, staircase=True),
    schedule("PiecewiseConstantDecay", boundaries=[10, 30], values=[0.001, 0.004, 0.0005]),
    schedule("PolynomialDecay", initial_learning_rate=0.004, decay_steps=40, end_learning_rate=0.0002, power=2.0),
    schedule("InverseTimeDecay", initial_learning_rate=0.004, decay_steps=10, decay_rate=0.5),
    schedule("CosineDecay", initial_learning_rate=0.0, decay_steps=30, warmup_target=0.004, warmup_steps=10, alpha=0.1),
    schedule("CosineDecayRestarts", initial_learning_rate=0.004, first_decay_steps=9, t_mul=2.0, m_mul=0.8, alpha=0.05),
    schedule("OneCycle", max_learning_rate=0.004, total_steps=50, pct_start=0.3, div_factor=25.0, final_div_factor=1e4),
]
# What Keras on JAX rounds to float32 even in float64.
ROUNDED = ["LayerNormalization", "Reshape", "label smoothing, one hot", "BinaryCrossentropy"]
ROUNDED += ["MeanSquaredError", "MeanAbsoluteError"]

EPOCHS = 4
NADAM = {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
EPOCHS_LAYERS = [
    ["Dense", {"units": 64, "activation": "gelu"}],
    ["LayerNormalization", {}],
    ["Dense", {"units": 32, "activation": "silu"}],
    ["LayerNormalization", {}],
    ["Dense", {"units": 32}],
    ["LeakyReLU", {}],
    ["Dense", {"units": 10, "activation": "softmax"}],
]


def initial_weights():
    """Of the runs, and, under "epochs.", of the network of four epochs."""
    rng = np.random.default_rng(SEED)
    tensors = {}

    def dense(name, inputs, outputs):
        limit = np.sqrt(6 / (inputs + outputs))
        tensors[f"{name}.kernel"] = rng.uniform(-limit, limit, (inputs, outputs)).astype(np.float32)
        tensors[f"{name}.bias"] = rng.uniform(-0.05, 0.05, outputs).astype(np.float32)

    dense("first", 784, UNITS)
    dense("last_10", UNITS, 10)
    dense("last_1", UNITS, 1)
    sizes = [784, 64, 32, 32, 10]
    for i, (inputs, outputs) in enumerate(zip(sizes, sizes[1:])):
        dense("epochs.dense" + (f"_{i}" if i else ""), inputs, outputs)
    return tensors


def outputs(case):
    return 1 if case["target"] == "is_odd" else 10


def targets(case, labels):
    if case["target"] == "one_hot":
        return np.eye(10, dtype=np.float32)[labels]
    if case["target"] == "is_odd":
        return (labels % 2).astype(np.float32)[:, None]
    return labels


# The reference, in float64.


def reference(case, batches):
    """The losses of all steps."""
    os.environ |= {"JAX_PLATFORMS": "cpu", "JAX_ENABLE_X64": "True"}
    import jax
    import jax.numpy as jnp
    from jax.scipy.special import erf

    def sigmoid(x):
        return 1 / (1 + jnp.exp(-x))

    def softplus(x):
        return jnp.maximum(x, 0) + jnp.log1p(jnp.exp(-jnp.abs(x)))

    def elu(x, alpha=1.0):
        return jnp.where(x > 0, x, alpha * jnp.expm1(jnp.minimum(x, 0)))

    def log_softmax(x):
        shifted = x - x.max(axis=-1, keepdims=True)
        return shifted - jnp.log(jnp.exp(shifted).sum(axis=-1, keepdims=True))

    activations = {
        "tanh": jnp.tanh,
        "elu": elu,
        "selu": lambda x: 1.05070098735548 * elu(x, 1.67326324235438),
        "gelu": lambda x: 0.5 * x * (1 + erf(x / np.sqrt(2))),
        "gelu_tanh": lambda x: 0.5 * x * (1 + jnp.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
        "silu": lambda x: x * sigmoid(x),
        "softplus": softplus,
        "softsign": lambda x: x / (1 + jnp.abs(x)),
        "leaky_relu": lambda x: jnp.where(x > 0, x, 0.2 * x),
        "relu6": lambda x: jnp.clip(x, 0, 6),
        "hard_sigmoid": lambda x: jnp.clip(x / 6 + 0.5, 0, 1),
        "mish": lambda x: x * jnp.tanh(softplus(x)),
        "exponential": jnp.exp,
    }

    def layer(kind, config, own, x):
        if kind == "Activation":
            return activations[config["activation"]](x)
        if kind == "LeakyReLU":
            return jnp.where(x > 0, x, config["negative_slope"] * x)
        if kind == "ELU":
            return elu(x, config.get("alpha", 1.0))
        if kind == "PReLU":
            return jnp.where(x > 0, x, own["alpha"] * x)
        if kind == "ReLU":
            above, slope, most = config["threshold"], config["negative_slope"], config["max_value"]
            return jnp.where(x >= most, most, jnp.where(x >= above, x, slope * (x - above)))
        if kind == "Softmax":
            return jnp.exp(log_softmax(x))
        if kind == "Reshape":
            return x.reshape([len(x), *config["target_shape"]])
        if kind == "Flatten":
            return x.reshape([len(x), -1])
        assert kind == "LayerNormalization"
        mean = x.mean(axis=-1, keepdims=True)
        variance = ((x - mean) ** 2).mean(axis=-1, keepdims=True)
        return own["gamma"] * (x - mean) / jnp.sqrt(variance + config["epsilon"]) + own["beta"]

    def own_weights(kind, config):
        if kind == "PReLU":
            return {"alpha": jnp.zeros(UNITS)}
        if kind == "LayerNormalization":
            channels = 6 if case["name"] == "Reshape" else UNITS
            return {"gamma": jnp.ones(channels), "beta": jnp.zeros(channels)}
        return {}

    name, settings = case["loss"]
    smoothing = settings.get("label_smoothing", 0.0)

    def mean_loss(weights, x, y):
        x = x.reshape(len(x), -1) @ weights["first.kernel"] + weights["first.bias"]
        for (kind, config), own in zip(case["layers"], weights["own"]):
            x = layer(kind, config, own, x)
        z = x @ weights["last.kernel"] + weights["last.bias"]
        if name == "SparseCategoricalCrossentropy":
            y = jnp.eye(10)[y]
        if name.endswith("CategoricalCrossentropy"):
            y = y * (1 - smoothing) + smoothing / 10
            return -(y * log_softmax(z)).sum(axis=-1).mean()
        if name == "BinaryCrossentropy":
            y = y * (1 - smoothing) + smoothing / 2
            return (softplus(z) - y * z).mean()
        z = sigmoid(z) if case["last"] == "sigmoid" else z
        return ((z - y) ** 2).mean() if name == "MeanSquaredError" else jnp.abs(z - y).mean()

    initial = load_file(HERE / "networks.safetensors")
    last = f"last_{outputs(case)}"
    weights = {f"first.{part}": jnp.asarray(initial[f"first.{part}"], jnp.float64) for part in ("kernel", "bias")}
    weights |= {f"last.{part}": jnp.asarray(initial[f"{last}.{part}"], jnp.float64) for part in ("kernel", "bias")}
    weights["own"] = [own_weights(kind, config) for kind, config in case["layers"]]
    tree = jax.tree_util.tree_map
    m, v = tree(jnp.zeros_like, weights), tree(jnp.zeros_like, weights)
    step = jax.jit(jax.value_and_grad(mean_loss))
    losses = []
    for t, (x, labels) in enumerate(batches, 1):
        loss, g = step(weights, x.astype(np.float64), targets(case, labels))
        losses.append(float(loss))
        b1, b2 = ADAM["beta_1"], ADAM["beta_2"]
        alpha = rate(case["learning_rate"], t - 1) * np.sqrt(1 - b2**t) / (1 - b1**t)
        m = tree(lambda m, g: m + (g - m) * (1 - b1), m, g)
        v = tree(lambda v, g: v + (g * g - v) * (1 - b2), v, g)
        weights = tree(lambda w, m, v: w - alpha * m / (jnp.sqrt(v) + ADAM["epsilon"]), weights, m, v)
    return losses


def rate(settings, step):
    """The learning rate of the update after `step` others."""
    if not isinstance(settings, dict):
        return settings
    s = settings
    kind, first, decay = s["class"], s.get("initial_learning_rate"), s.get("decay_steps")
    if kind == "ExponentialDecay":
        return first * s["decay_rate"] ** (step // decay)
    if kind == "PiecewiseConstantDecay":
        return s["values"][sum(step > boundary for boundary in s["boundaries"])]
    if kind == "PolynomialDecay":
        share = 1 - min(step, decay) / decay
        return (first - s["end_learning_rate"]) * share ** s["power"] + s["end_learning_rate"]
    if kind == "InverseTimeDecay":
        return first / (1 + s["decay_rate"] * step / decay)
    if kind == "CosineDecay":
        if step < s["warmup_steps"]:
            return first + (s["warmup_target"] - first) * step / s["warmup_steps"]
        done = min(step - s["warmup_steps"], decay) / decay
        return s["warmup_target"] * ((1 - s["alpha"]) * (1 + np.cos(np.pi * done)) / 2 + s["alpha"])
    if kind == "CosineDecayRestarts":
        length, height = s["first_decay_steps"], 1.0
        while step >= length:
            step, length, height = step - length, length * s["t_mul"], height * s["m_mul"]
        return first * ((1 - s["alpha"]) * height * (1 + np.cos(np.pi * step / length)) / 2 + s["alpha"])
    assert kind == "OneCycle"
    most = s["max_learning_rate"]
    low, up = most / s["div_factor"], s["pct_start"] * s["total_steps"] - 1
    if step <= up:
        return low + (most - low) * (1 - np.cos(np.pi * step / up)) / 2
    end = low / s["final_div_factor"]
    return end + (most - end) * (1 + np.cos(np.pi * (step - up) / (s["total_steps"] - 1 - up))) / 2


# Keras, in a child process for each backend.


def keras_layer(kind, config):
    import keras

    if kind == "Activation" and config["activation"] == "gelu_tanh":
        return keras.layers.Activation(lambda x: keras.activations.gelu(x, approximate=True))
    return getattr(keras.layers, kind)(**config)


def keras_losses(case, batches):
    import keras

    initial = load_file(HERE / "networks.safetensors")
    count = outputs(case)
    first, last = keras.layers.Dense(UNITS), keras.layers.Dense(count, activation=case["last"])
    between = [keras_layer(kind, config) for kind, config in case["layers"]]
    model = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(), first, *between, last])
    for layer, name in [(first, "first"), (last, f"last_{count}")]:
        layer.set_weights([initial[f"{name}.kernel"], initial[f"{name}.bias"]])
    learning_rate = case["learning_rate"]
    if isinstance(learning_rate, dict):
        settings = dict(learning_rate)
        kind = settings.pop("class")
        if kind == "OneCycle":
            # Keras has none: its rates are set step by step.
            learning_rate = 1.0
        else:
            learning_rate = getattr(keras.optimizers.schedules, kind)(**settings)
    name, settings = case["loss"]
    if name == "SparseCategoricalCrossentropy" and "label_smoothing" in settings:
        # Keras smooths one-hot labels only.
        name = "CategoricalCrossentropy"
    model.compile(keras.optimizers.Adam(**ADAM | {"learning_rate": learning_rate}), getattr(keras.losses, name)(**settings))
    losses = []
    for step, (x, labels) in enumerate(batches):
        y = targets(case, labels)
        if name == "CategoricalCrossentropy" and case["target"] == "class":
            y = np.eye(10, dtype=np.float32)[labels]
        if isinstance(case["learning_rate"], dict) and case["learning_rate"]["class"] == "OneCycle":
            model.optimizer.learning_rate = rate(case["learning_rate"], step)
        model.reset_metrics()
        losses.append(float(model.train_on_batch(x, y, return_dict=True)["loss"]))
    return losses


def keras_epochs(folder):
    """The losses of each epoch."""
    import keras

    batches = load_batches(folder, 60_000 // BATCH)
    x, y = (np.concatenate(parts) for parts in zip(*batches))
    layers = [keras_layer(kind, config) for kind, config in EPOCHS_LAYERS]
    model = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(), *layers])
    initial = load_file(HERE / "networks.safetensors")
    dense = [layer for layer in layers if isinstance(layer, keras.layers.Dense)]
    for i, layer in enumerate(dense):
        name = "epochs.dense" + (f"_{i}" if i else "")
        layer.set_weights([initial[f"{name}.kernel"], initial[f"{name}.bias"]])
    model.compile(keras.optimizers.Nadam(**NADAM), "sparse_categorical_crossentropy")
    history = model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, validation_split=0.1, shuffle=False, verbose=0)
    return {"loss": history.history["loss"], "val_loss": history.history["val_loss"]}


def record_keras(folder, floatx):
    """The child process: all losses, as JSON on the last line of its output."""
    import keras

    keras.config.set_floatx(floatx)
    batches = load_batches(folder, STEPS)
    record = {"runs": {case["name"]: keras_losses(case, batches) for case in RUNS}}
    if floatx == "float32" and keras.backend.backend() == "tensorflow":
        record["epochs"] = keras_epochs(folder)
    print(json.dumps(record))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=HERE.parents[3] / "data/mnist", help="folder of the .gz files")
    parser.add_argument("--record", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.record:
        return record_keras(args.data, args.record)

    save_file(initial_weights(), HERE / "networks.safetensors")
    keras = {backend: start_keras(backend, args.data, "float32", __file__) for backend in BACKENDS}
    keras_f64 = start_keras("jax", args.data, "float64", __file__)

    runs, failures = [], []
    print(f"{'run':<26}{'backend':<16}{'largest |distance|':>20}{'mean |distance|':>20}")
    for case in RUNS:
        expected = reference(case, load_batches(args.data, STEPS))
        losses = {backend: keras[backend]["runs"][case["name"]] for backend in BACKENDS}
        for backend, values in (losses | {"jax, float64": keras_f64["runs"][case["name"]]}).items():
            largest, mean = distances(values, expected)
            print(f"{case['name']:<26}{backend:<16}{largest:>20.3e}{mean:>20.3e}")
        rounds = case["name"] in ROUNDED or isinstance(case["learning_rate"], dict)
        if largest > (1e-7 if rounds else 1e-12):
            failures.append(f"{case['name']}: the reference is not what Keras computes in float64")
        if any(distances(values, expected)[0] > 1e-4 for values in losses.values()):
            failures.append(f"{case['name']}: a float32 run has met a kink: choose another seed")
        runs.append(case | {"float64_distance": largest, "reference": expected, "keras": losses})

    record = {"versions": versions(), "initial": "networks.safetensors", "seed": SEED, "batch_size": BATCH, "adam": ADAM}
    epochs = {"layers": EPOCHS_LAYERS, "nadam": NADAM} | keras["tensorflow"]["epochs"]
    write_json("networks.json", record | {"runs": runs, "epochs": epochs})
    sys.exit("\n".join(failures))


if __name__ == "__main__":
    main()
