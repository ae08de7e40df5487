"""Records the learning rates of Keras's schedules and of PyTorch's OneCycleLR. A test compares the schedules with them.

Run it from this folder. It takes seconds. The output is committed; it is run again only for a new version of Keras.

    python3 -m venv ~/keras-env && ~/keras-env/bin/pip install -r requirements.txt torch==2.15.0
    ~/keras-env/bin/python schedules.py

It writes, beside itself, schedules.json: for each case a class, its settings, steps, and the rate at each of them. Keras
computes on TensorFlow in float64 (on NumPy and JAX some of its operations round to float32). CosineDecayRestarts finds the number of restarts by a logarithm, whose rounding may put the first
step of a cosine at the end of the one before; the script fails if that happens in a case.
"""

import importlib.metadata
import json
import multiprocessing
import os
import platform
import re
from pathlib import Path

os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}

HERE = Path(__file__).resolve().parent

# Class and settings, all of them spelled out, and the steps: dense ones around each place where the formula changes.
EXPONENTIAL = {"initial_learning_rate": 0.1, "decay_steps": 300, "decay_rate": 0.96, "staircase": False}
INVERSE = {"initial_learning_rate": 0.05, "decay_steps": 40, "decay_rate": 0.5, "staircase": False}
POLYNOMIAL = {"initial_learning_rate": 0.1, "decay_steps": 90, "end_learning_rate": 0.0001, "power": 1.0, "cycle": False}
COSINE = {"initial_learning_rate": 0.002, "decay_steps": 120, "alpha": 0.0, "warmup_target": None, "warmup_steps": 0}
RESTARTS = {"initial_learning_rate": 0.01, "first_decay_steps": 20, "t_mul": 2.0, "m_mul": 1.0, "alpha": 0.0}
ONE_CYCLE = {"max_lr": 0.01, "total_steps": 200, "pct_start": 0.3, "div_factor": 25.0, "final_div_factor": 10000.0}
FAR = [1_000, 12_345, 250_000]
CASES = [
    ("ExponentialDecay", EXPONENTIAL, [*range(0, 700, 37), 299, 300, 301, *FAR]),
    ("ExponentialDecay", EXPONENTIAL | {"staircase": True}, [*range(0, 700, 37), 299, 300, 301, *FAR]),
    ("ExponentialDecay", EXPONENTIAL | {"decay_rate": 1.3, "decay_steps": 1000}, [*range(0, 700, 37), *FAR[:2]]),
    ("PiecewiseConstantDecay", {"boundaries": [10, 25], "values": [1.0, 0.5, 0.1]}, [*range(30), *FAR]),
    ("PolynomialDecay", POLYNOMIAL, [*range(0, 200, 7), 89, 90, 91, *FAR]),
    ("PolynomialDecay", POLYNOMIAL | {"power": 0.5}, [*range(0, 200, 7), 89, 90, 91, *FAR]),
    ("PolynomialDecay", POLYNOMIAL | {"power": 2.3, "cycle": True}, [*range(0, 200, 7), 89, 90, 91, 180, 181, *FAR]),
    ("InverseTimeDecay", INVERSE, [*range(0, 200, 7), *FAR]),
    ("InverseTimeDecay", INVERSE | {"staircase": True}, [*range(0, 200, 7), 39, 40, 41, *FAR]),
    ("CosineDecay", COSINE, [*range(125), *FAR]),
    ("CosineDecay", COSINE | {"alpha": 0.1}, [*range(0, 125, 5), 119, 121, *FAR]),
    ("CosineDecay", COSINE | {"warmup_target": 0.01, "warmup_steps": 30}, [*range(0, 155, 5), 29, 31, 149, 151, *FAR]),
    ("CosineDecayRestarts", RESTARTS, [*range(0, 320, 3), 19, 20, 21, 59, 60, 61, 139, 140, 141, *FAR]),
    ("CosineDecayRestarts", RESTARTS | {"t_mul": 1.0, "m_mul": 0.9}, [*range(0, 90, 3), 19, 20, 21, 40, 59, 60]),
    ("CosineDecayRestarts", RESTARTS | {"t_mul": 1.5, "m_mul": 0.8, "alpha": 0.05}, [*range(0, 320, 3), *FAR]),
    ("OneCycleLR", ONE_CYCLE, list(range(200))),
    ("OneCycleLR", ONE_CYCLE | {"total_steps": 50, "pct_start": 0.55, "div_factor": 4.0}, list(range(50))),
]


def keras_rates(name, config, steps):
    import keras
    import numpy as np

    # A schedule computes in the type of its rates, and takes a plain float for float32.
    wide = {key: np.array(value) if isinstance(value, float) else value for key, value in config.items()}
    if "values" in wide:
        wide["values"] = [np.array(value) for value in wide["values"]]
    schedule = getattr(keras.optimizers.schedules, name)(**wide)
    rates = [schedule(step) for step in steps]
    assert all(rate.dtype == np.float64 for rate in rates), (name, rates)
    return [float(rate) for rate in rates]


def torch_rates(config, steps):
    import torch

    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, cycle_momentum=False, **config)
    rates = []
    for _ in steps:
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        if len(rates) < len(steps):
            scheduler.step()
    return rates


def check_restarts(config, steps, rates):
    """Fails if a rate belongs to another cosine than the step, found by adding up."""
    for step, rate in zip(steps, rates):
        start, length, height = 0.0, float(config["first_decay_steps"]), 1.0
        while step >= start + length:
            start, length, height = start + length, length * config["t_mul"], height * config["m_mul"]
        top = config["initial_learning_rate"] * ((1 - config["alpha"]) * height + config["alpha"])
        assert step > start or abs(rate - top) < 1e-9, (config, step, rate)


def main():
    cases = []
    # PyTorch in a process of its own: it and TensorFlow cannot be loaded into one.
    pool = multiprocessing.get_context("spawn").Pool(1)
    for name, config, steps in CASES:
        if name == "OneCycleLR":
            rates = pool.apply(torch_rates, (config, steps))
        else:
            rates = keras_rates(name, config, steps)
        if name == "CosineDecayRestarts":
            check_restarts(config, steps, rates)
        cases.append({"class": name, "config": config, "steps": steps, "rates": rates})
    versions = {"python": platform.python_version()}
    versions |= {package: importlib.metadata.version(package) for package in ["keras", "tensorflow-cpu", "numpy", "torch"]}
    text = json.dumps({"versions": versions, "cases": cases}, indent=1)
    text = re.sub(r"\[[^][{}]*\]", lambda flat: " ".join(flat[0].split()), text)  # one list a line
    (HERE / "schedules.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
