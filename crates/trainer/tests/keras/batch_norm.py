"""Records Keras's results for a network with batch normalization. A test compares the trainer with them.

Run it from this folder, in the environment that parity.py describes. It takes some minutes, most of them for the
epochs. The output is committed; it is run again only for a new version of Keras.

    ~/keras-env/bin/python batch_norm.py

It reads MNIST from the project's data/mnist (or from --data DIR) and writes, beside itself:

batch_norm_initial.safetensors
    Initial weights of the network: Glorot uniform from a fixed seed, biases and betas zero, gammas one, moving means
    zero, moving variances one, float32; kernels are [inputs, outputs].
batch_norm.json
    Losses, accuracies and moving averages of two kinds of runs, see below.

The network is 784-64-32-10: Dense with relu, BatchNormalization, Dense with relu, BatchNormalization, Dense with
softmax. All runs start from batch_norm_initial.safetensors and take the images in the file's order, in batches of 32,
pixels divided by 255 in float32, with Adam. Hyper-parameters are Keras's defaults.

"steps"
    The first 50 steps. For each step the loss, the mean over its batch before the step's update; and the moving
    averages of both layers after the last step. Each comes from Keras on TensorFlow and from Keras on JAX, both in
    float32, and from the float64 reference in this file. "distances" says how far each backend lies from the reference
    at most.
"epochs"
    Five epochs of `fit` on the first nine tenths of the training set (54,000 images; the last batch has 16), the last
    tenth being the validation set, by Keras on TensorFlow in float32: what it reports of each epoch, and loss and
    accuracy of the test set at the end. An epoch's "loss" and "accuracy" are means over the epoch, in training mode and
    each batch's before its update. The first run starts from the initial weights. The others, each with its
    "noise_seed", start from weights each of which has been multiplied by 1 + 1e-7 n, n from the standard normal
    distribution, and rounded to float32. "spread" says for each number how far two of these runs lie apart at most. The
    reference's epochs stand beside them, from the initial weights.

Beware of the spread of early epochs. Runs of Keras stay together until rounding first puts a pre-activation on the
other side of relu's kink; from there they part. Moved by 1e-7, that happens here in the second epoch, so that the
spread of the first is 1e-7. The reference parts from them within 300 steps: Keras's beta_2 in float32 alone (see
parity.py) moves weights by 6e-6 in 50 steps. It ends the first epoch 7e-4 (loss) and 1e-2 (validation loss) from
Keras. The reference's own epochs are one run among others as well: the order in which NumPy forms its sums in float64
shows in the fourth.

The reference is NumPy, written from the formulas, and shares no code with Keras. In training mode

    mean     = sum_i x_i / B                          B samples i, each channel on its own
    variance = sum_i (x_i - mean)^2 / B               biased, also for the moving average
    n_i      = (x_i - mean) / sqrt(variance + epsilon)
    y_i      = gamma n_i + beta
    moving   = momentum moving + (1 - momentum) batch's         for mean and variance

and, n and variance depending on all samples of the batch,

    d_gamma  = sum_i d_y_i n_i
    d_beta   = sum_i d_y_i
    d_x_i    = gamma / sqrt(variance + epsilon) (d_y_i - d_beta / B - n_i d_gamma / B).

(S. Ioffe and C. Szegedy, "Batch Normalization", 2015, section 3, but for the variance of the moving average, which they
multiply by B / (B - 1).) To show that the reference is Keras's arithmetic, the script also runs both in float64 and
notes the largest distances as "float64_distance"; it fails if one is above 1e-12. This is done on TensorFlow, as
Keras's BatchNormalization on JAX computes in float32 whatever its inputs are. On TensorFlow, Keras rounds Adam's betas
to float32 even in float64; hence these two runs use betas that float32 holds exactly, 7/8 and 1 - 2^-10.

The seed matters, as parity.py explains: no pre-activation of the 50 steps may fall within rounding of relu's kink.
Batch normalization adds a second such point. If a unit is active for all images of a batch, its bias moves the batch's
mean and nothing else, and the bias has gradient zero: exactly so on paper, and by 1e-9 or so in float32. Adam's first
steps make of it a step a tenth as long as the others. The losses do not see it, but the moving mean does. With this
seed, chosen from 1 to 40, the first two batches have no such unit; the script fails if a moving average should ever be
off.
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

# One thread, so that the order of sums does not depend on the machine's number of cores.
os.environ |= {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
os.environ |= {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"}

import numpy as np
from parity import ADAM, BACKENDS, BATCH, adam, distances, load_batches
from safetensors.numpy import load_file, save_file

HERE = Path(__file__).resolve().parent
INITIAL = HERE / "batch_norm_initial.safetensors"
SEED = 25  # no relu within rounding of its kink, no unit always active at first, see above
SIZES = [784, 64, 32, 10]
DENSE = ["dense", "dense_1", "dense_2"]
NORMS = ["batch_normalization", "batch_normalization_1"]
MOMENTUM, EPSILON = 0.99, 1e-3
STEPS = 50
EXACT = ADAM | {"beta_1": 0.875, "beta_2": 1 - 2**-10}  # exact in float32
EPOCHS, VALIDATION_SPLIT = 5, 0.1
NOISE, NOISE_SEEDS = 1e-7, [None, 1, 2]


def initial_weights():
    """Glorot uniform: U(-limit, limit), limit = sqrt(6 / (inputs + outputs))."""
    rng = np.random.default_rng(SEED)
    tensors = {}
    for layer, inputs, outputs in zip(DENSE, SIZES, SIZES[1:]):
        limit = np.sqrt(6 / (inputs + outputs))
        tensors[f"{layer}.kernel"] = rng.uniform(-limit, limit, (inputs, outputs))
        tensors[f"{layer}.bias"] = np.zeros(outputs)
    for layer, channels in zip(NORMS, SIZES[1:]):
        for part, value in [("gamma", 1), ("beta", 0), ("moving_mean", 0), ("moving_variance", 1)]:
            tensors[f"{layer}.{part}"] = np.full(channels, value)
    return {name: tensor.astype(np.float32) for name, tensor in tensors.items()}


def is_moving(name):
    return ".moving_" in name


def load_split(folder, split):
    """All pixels [N, 28, 28] in float32 and labels [N] of "train" or "t10k"."""
    with gzip.open(folder / f"{split}-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(folder / f"{split}-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8)
    return pixels.astype(np.float32) / np.float32(255), labels


# The reference, in float64.


def normalize(x, gamma, beta):
    """Batch normalization in training mode: outputs, and what its gradients need."""
    mean = x.mean(axis=0)
    variance = ((x - mean) ** 2).mean(axis=0)
    deviation = np.sqrt(variance + EPSILON)
    normalized = (x - mean) / deviation
    return gamma * normalized + beta, (mean, variance, normalized, deviation)


def normalize_gradients(d_y, gamma, normalized, deviation):
    """Gradients by inputs, gamma and beta."""
    d_gamma, d_beta = (d_y * normalized).sum(axis=0), d_y.sum(axis=0)
    d_x = gamma / deviation * (d_y - d_beta / len(d_y) - normalized * d_gamma / len(d_y))
    return d_x, d_gamma, d_beta


def log_softmax(logits):
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def scores(logits, y):
    """Mean cross-entropy and accuracy."""
    loss = -log_softmax(logits)[np.arange(len(y)), y].mean()
    return np.array([loss, (logits.argmax(axis=1) == y).mean()])


def evaluate(weights, x, y):
    """Scores in inference mode."""
    x = x.reshape(len(x), -1)
    for dense, norm in zip(DENSE, NORMS):
        x = np.maximum(x @ weights[f"{dense}.kernel"] + weights[f"{dense}.bias"], 0)
        x = (x - weights[f"{norm}.moving_mean"]) / np.sqrt(weights[f"{norm}.moving_variance"] + EPSILON)
        x = weights[f"{norm}.gamma"] * x + weights[f"{norm}.beta"]
    return scores(x @ weights["dense_2.kernel"] + weights["dense_2.bias"], y)


def scores_and_gradients(weights, x, y):
    """A batch's scores, the gradient of its loss for each trainable weight, and the moving averages after the batch."""
    inputs, hidden, norms, moving = [x.reshape(len(x), -1)], [], [], {}
    for dense, norm in zip(DENSE, NORMS):
        hidden.append(np.maximum(inputs[-1] @ weights[f"{dense}.kernel"] + weights[f"{dense}.bias"], 0))
        outputs, kept = normalize(hidden[-1], weights[f"{norm}.gamma"], weights[f"{norm}.beta"])
        inputs.append(outputs)
        norms.append(kept)
        for part, value in zip(("moving_mean", "moving_variance"), kept):
            name = f"{norm}.{part}"
            moving[name] = MOMENTUM * weights[name] + (1 - MOMENTUM) * value
    logits = inputs[-1] @ weights["dense_2.kernel"] + weights["dense_2.bias"]

    d_outputs = np.exp(log_softmax(logits))
    d_outputs[np.arange(len(y)), y] -= 1
    d_outputs /= len(y)
    gradients = {}
    for layer in reversed(range(len(DENSE))):
        dense = DENSE[layer]
        gradients[f"{dense}.kernel"] = inputs[layer].T @ d_outputs
        gradients[f"{dense}.bias"] = d_outputs.sum(axis=0)
        if layer > 0:
            norm, (_, _, normalized, deviation) = NORMS[layer - 1], norms[layer - 1]
            d_outputs = d_outputs @ weights[f"{dense}.kernel"].T
            d_outputs, gradients[f"{norm}.gamma"], gradients[f"{norm}.beta"] = normalize_gradients(
                d_outputs, weights[f"{norm}.gamma"], normalized, deviation
            )
            d_outputs = d_outputs * (hidden[layer - 1] > 0)
    return scores(logits, y), gradients, moving


class Reference:
    """Training in float64."""

    def __init__(self, adam_settings):
        self.weights = {name: tensor.astype(np.float64) for name, tensor in load_file(INITIAL).items()}
        self.slots = {name: {} for name in self.weights}
        self.adam_settings, self.t = adam_settings, 0

    def step(self, x, y):
        """Scores of the batch before the update."""
        self.t += 1
        batch, gradients, moving = scores_and_gradients(self.weights, x.astype(np.float64), y)
        for name, gradient in gradients.items():
            self.weights[name] = adam(self.adam_settings, self.t, self.weights[name], gradient, self.slots[name])
        self.weights |= moving
        return batch


def reference_steps(adam_settings, batches):
    """Losses of the steps and moving averages after them."""
    run = Reference(adam_settings)
    losses = [float(run.step(x, y)[0]) for x, y in batches]
    return {"losses": losses, "moving": {n: run.weights[n].tolist() for n in sorted(filter(is_moving, run.weights))}}


def reference_epochs(folder):
    """What Keras reports of its epochs."""
    x, y = load_split(folder, "train")
    count = round(len(x) * (1 - VALIDATION_SPLIT))
    run = Reference(ADAM)
    history = []
    for _ in range(EPOCHS):
        total = np.zeros(2)
        for i in range(0, count, BATCH):
            batch = slice(i, min(i + BATCH, count))
            total += run.step(x[batch], y[batch]) * (batch.stop - batch.start)
        history.append([*(total / count), *evaluate(run.weights, x[count:], y[count:])])
    names = ["loss", "accuracy", "val_loss", "val_accuracy"]
    record = {name: values.tolist() for name, values in zip(names, np.transpose(history))}
    test_loss, test_accuracy = evaluate(run.weights, *load_split(folder, "t10k")).tolist()
    return record | {"test_loss": test_loss, "test_accuracy": test_accuracy}


# Keras, in a process of its own for each backend and type.


def keras_model(adam_settings):
    """The compiled network with the initial weights, and its variables under the names of the file."""
    import keras

    model = keras.Sequential(
        [
            keras.Input((28, 28)),
            keras.layers.Flatten(),
            keras.layers.Dense(SIZES[1], activation="relu"),
            keras.layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON),
            keras.layers.Dense(SIZES[2], activation="relu"),
            keras.layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON),
            keras.layers.Dense(SIZES[3], activation="softmax"),
        ]
    )
    layers = [layer for layer in model.layers if layer.weights]
    names = [DENSE[0], NORMS[0], DENSE[1], NORMS[1], DENSE[2]]
    variables = {f"{name}.{v.name}": v for name, layer in zip(names, layers) for v in layer.weights}
    initial = load_file(INITIAL)
    assert variables.keys() == initial.keys()
    for name, variable in variables.items():
        variable.assign(initial[name])
    model.compile(keras.optimizers.Adam(**adam_settings), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model, variables


def keras_steps(folder, floatx):
    """Losses of the steps and moving averages after them, in Keras."""
    import keras

    keras.config.set_floatx(floatx)
    model, variables = keras_model(EXACT if floatx == "float64" else ADAM)
    losses = []
    for x, y in load_batches(folder, STEPS):
        # Returns means since the last reset of the metrics, so that each step needs its own reset.
        model.reset_metrics()
        losses.append(float(model.train_on_batch(x, y, return_dict=True)["loss"]))
    moving = {name: variables[name] for name in sorted(filter(is_moving, variables))}
    moving = {name: np.asarray(v, np.float64).tolist() for name, v in moving.items()}
    return {"losses": losses, "moving": moving}


def keras_epochs(folder):
    """What Keras reports of its epochs, for each noise."""
    train, test = load_split(folder, "train"), load_split(folder, "t10k")
    runs = []
    for seed in NOISE_SEEDS:
        model, variables = keras_model(ADAM)
        if seed is not None:
            rng = np.random.default_rng(seed)
            for name in sorted(variables):
                value = np.asarray(variables[name], np.float64)
                value = value * (1 + NOISE * rng.standard_normal(value.shape))
                variables[name].assign(value.astype(np.float32))
        history = model.fit(
            *train, batch_size=BATCH, epochs=EPOCHS, shuffle=False, validation_split=VALIDATION_SPLIT, verbose=0
        ).history
        test_scores = model.evaluate(*test, batch_size=BATCH, verbose=0, return_dict=True)
        run = {"noise_seed": seed}
        run |= {name: [float(v) for v in history[name]] for name in ("loss", "accuracy", "val_loss", "val_accuracy")}
        runs.append(run | {f"test_{name}": float(test_scores[name]) for name in ("loss", "accuracy")})
    return runs


def start_keras(backend, folder, record):
    """Runs this file with the backend asked for; returns what it prints on the last line of its output, from JSON."""
    env = os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    env |= {"JAX_PLATFORMS": "cpu"}
    command = [sys.executable, __file__, "--data", folder, "--record", record]
    output = subprocess.run(command, env=env, stdout=subprocess.PIPE, check=True, text=True).stdout
    return json.loads(output.splitlines()[-1])


def farthest(run, expected):
    """Largest distance of a run's losses, and of each of its moving averages."""
    moving = {name: distances(values, expected["moving"][name])[0] for name, values in run["moving"].items()}
    return {"losses": distances(run["losses"], expected["losses"])[0], "moving": moving}


def spread(runs):
    """For each number the largest distance between two runs."""
    names = [name for name in runs[0] if name != "noise_seed"]
    return {name: np.ptp([run[name] for run in runs], axis=0).tolist() for name in names}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=HERE.parents[3] / "data/mnist", help="folder of the .gz files")
    parser.add_argument("--record", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.record:
        recorded = keras_epochs(args.data) if args.record == "epochs" else keras_steps(args.data, args.record)
        return print(json.dumps(recorded))

    save_file(initial_weights(), INITIAL)
    batches = load_batches(args.data, STEPS)
    expected = reference_steps(ADAM, batches)
    keras = {backend: start_keras(backend, args.data, "float32") for backend in BACKENDS}
    float64_distance = farthest(start_keras("tensorflow", args.data, "float64"), reference_steps(EXACT, batches))
    far = {backend: farthest(run, expected) for backend, run in keras.items()}
    for name, distance in (far | {"float64": float64_distance}).items():
        moving = " ".join(f"{value:.3e}" for value in distance["moving"].values())
        print(f"{name:<14} losses {distance['losses']:.3e}  moving averages {moving}")
    steps = {"steps": STEPS, "float64_distance": float64_distance, "distances": far}
    steps |= {"reference": expected, "keras": keras}

    runs, expected_epochs = start_keras("tensorflow", args.data, "epochs"), reference_epochs(args.data)
    for name, values in spread(runs).items():
        from_reference = max(np.max(np.abs(np.subtract(run[name], expected_epochs[name]))) for run in runs)
        print(f"{name:<14} {np.max(values):.3e} between runs of Keras, {from_reference:.3e} from the reference")
    epochs = {"epochs": EPOCHS, "validation_split": VALIDATION_SPLIT, "noise": NOISE}
    epochs |= {"spread": spread(runs), "reference": expected_epochs, "keras": runs}

    packages = ["keras", "tensorflow-cpu", "jax", "jaxlib", "numpy", "safetensors"]
    versions = {"python": platform.python_version()} | {p: importlib.metadata.version(p) for p in packages}
    record = {"versions": versions, "initial": INITIAL.name, "seed": SEED, "sizes": SIZES, "batch_size": BATCH}
    record |= {"momentum": MOMENTUM, "epsilon": EPSILON, "optimizer": {"kind": "adam"} | ADAM}
    text = json.dumps(record | {"steps": steps, "epochs": epochs}, indent=1)
    text = re.sub(r"\[[^][{}]*\]", lambda flat: " ".join(flat[0].split()), text)  # one list a line
    (HERE / "batch_norm.json").write_text(text + "\n")

    def worst(distance):
        return max(distance["losses"], *distance["moving"].values())

    if worst(float64_distance) > 1e-12:
        sys.exit("the reference is not what Keras computes in float64")
    if any(worst(distance) > 1e-5 for distance in far.values()):
        sys.exit("a float32 run has met a kink, or moved a bias that has no gradient: choose another seed")


if __name__ == "__main__":
    main()
