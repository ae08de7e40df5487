"""What the Python peers share: the command line, MNIST's IDX files, and the line with the result."""

import argparse
import json
import os
import platform
from pathlib import Path

import numpy as np

TRAIN = 54_000
"""Samples that are trained on; the rest of the training part, its last tenth, is for validation."""
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


def part(folder, name):
    """The pictures of a part ("train" or "t10k") as float32 rows from 0 to 1, and its labels."""
    pictures = np.fromfile(folder / f"{name}-images-idx3-ubyte", np.uint8, offset=16)
    labels = np.fromfile(folder / f"{name}-labels-idx1-ubyte", np.uint8, offset=8)
    return pictures.reshape(-1, 784).astype(np.float32) / np.float32(255), labels


def glorot(rng):
    """Keras's first weights: (kernel, bias) of each layer, kernels uniform, biases zero."""
    layers = []
    for inputs, units in LAYERS:
        limit = (6 / (inputs + units)) ** 0.5
        kernel = rng.uniform(-limit, limit, (inputs, units)).astype(np.float32)
        layers.append((kernel, np.zeros(units, np.float32)))
    return layers


def report(fit_seconds, test_accuracy, versions, compile_seconds=None):
    """Prints the result as the last line."""
    versions = versions | {"python": platform.python_version()}
    result = {"fit_seconds": fit_seconds, "test_accuracy": float(test_accuracy), "versions": versions}
    if compile_seconds is not None:
        result["compile_seconds"] = compile_seconds
    print(json.dumps(result), flush=True)
