"""Shared by the Python peers: the command line, MNIST's IDX files, and the line with the result."""

import argparse
import json
import os
import platform
from pathlib import Path

import numpy as np

TRAIN = 54_000
"""Samples to train on. The last tenth of the training set is the validation set."""
BATCH = 32
EPOCHS = 5
LAYERS = [(784, 128), (128, 64), (64, 10)]


def arguments():
    """The peer's command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True, help="folder with MNIST's four raw IDX files")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def split(folder, name):
    """The images of a split ("train" or "t10k") as float32 rows from 0 to 1, and their labels."""
    images = np.fromfile(folder / f"{name}-images-idx3-ubyte", np.uint8, offset=16)
    labels = np.fromfile(folder / f"{name}-labels-idx1-ubyte", np.uint8, offset=8)
    return images.reshape(-1, 784).astype(np.float32) / np.float32(255), labels


def glorot(rng):
    """Keras's initial weights: (kernel, bias) of each layer, uniform kernels and zero biases."""
    layers = []
    for inputs, units in LAYERS:
        limit = (6 / (inputs + units)) ** 0.5
        kernel = rng.uniform(-limit, limit, (inputs, units)).astype(np.float32)
        layers.append((kernel, np.zeros(units, np.float32)))
    return layers


def report(fit_seconds, test_accuracy, versions, compile_seconds=None):
    """Prints the result, which must be the last line of the output."""
    versions = versions | {"python": platform.python_version()}
    result = {"fit_seconds": fit_seconds, "test_accuracy": float(test_accuracy), "versions": versions}
    if compile_seconds is not None:
        result["compile_seconds"] = compile_seconds
    print(json.dumps(result), flush=True)
