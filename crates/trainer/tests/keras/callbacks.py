"""Records what Keras's callbacks do with given metrics. A test compares the trainer's callbacks with them.

Run it from this folder, in the environment that parity.py describes; TensorFlow is not needed:

    KERAS_BACKEND=jax ~/keras-env/bin/python callbacks.py

It takes a few seconds and writes callbacks.json beside itself. Its output is committed, so it is run again only for a new
version of Keras.

No network is trained. Each callback is called as `fit` calls it, with the numbers of epochs that are drawn here from a
fixed seed, all of them multiples of 1/4 where they are compared: Keras compares in float32, the trainer in float64, and
of these numbers both say the same. The model has one weight, which is set to the epoch's number, counted from 1, before
the epoch's end is told; so it shows which epoch's weights are in the model at the end, or in a file.

"early_stopping"
    For each case its arguments and the monitored values; and the number of epochs until `stop_training` was set, the
    best epoch, the epoch at which it stopped, both from 0 (null: none), the weight at the end, and the messages.
"reduce_lr_on_plateau"
    For each case its arguments, the monitored values and the first learning rate; and the rate after each epoch and the
    messages. Rates are float32.
"learning_rate_scheduler"
    The rates of epochs in which the function takes a tenth off, from the third epoch on.
"model_checkpoint"
    For each case its arguments and the numbers of its epochs, or of batches; and after each of them the file that was
    written (null: none) and the messages. The folder before each name, and what Keras wants at its end, are left out.
"csv_logger"
    For each case its arguments, what was in the file before (null: no file), the epochs' numbers, and the file's content.
"""

import contextlib
import io
import json
import pathlib
import random
import tempfile

import jax
import keras
import numpy as np

HERE = pathlib.Path(__file__).parent
EPOCHS = 12


def model():
    """A network of one weight, of which fit has made a step so that its metrics are known."""
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    network.compile(keras.optimizers.SGD(0.5), "mse", metrics=["accuracy"])
    network.fit(np.zeros((1, 1)), np.zeros((1, 1)), verbose=0)
    return network


def quarters(draw, count=EPOCHS):
    return [draw.randrange(1, 17) / 4 for _ in range(count)]


def monitor_and_mode(draw):
    return {
        "monitor": draw.choice(["loss", "accuracy", "val_loss", "val_accuracy"]),
        "mode": draw.choice(["auto", "auto", "min", "max"]),
    }


def messages(out):
    return [line for line in out.getvalue().splitlines() if line]


def early_stopping(network, draw):
    arguments = {
        **monitor_and_mode(draw),
        "min_delta": draw.choice([0, 0, 0.25, -0.5, 1]),
        "patience": draw.randrange(5),
        "baseline": draw.choice([None, None, 1.5, 2.5]),
        "restore_best_weights": draw.choice([False, True]),
        "start_from_epoch": draw.choice([0, 0, 1, 3, 20]),
        "verbose": 1,
    }
    values = quarters(draw)
    callback = keras.callbacks.EarlyStopping(**arguments)
    callback.set_model(network)
    network.stop_training = False
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        callback.on_train_begin()
        epochs = 0
        for epoch, value in enumerate(values):
            network.set_weights([np.full((1, 1), epoch + 1.0)])
            callback.on_epoch_end(epoch, {arguments["monitor"]: value})
            epochs += 1
            if network.stop_training:
                break
        callback.on_train_end()
    return {
        "arguments": arguments,
        "values": values,
        "epochs": epochs,
        "best_epoch": None if callback.best is None else callback.best_epoch,
        "stopped_epoch": callback.stopped_epoch if network.stop_training else None,
        "weight": float(network.get_weights()[0][0, 0]),
        "messages": messages(out),
    }


def reduce_lr_on_plateau(network, draw, arguments=None, rate=1.0):
    arguments = {
        **monitor_and_mode(draw),
        **(
            arguments
            or {
                "factor": draw.choice([0.5, 0.25]),
                "patience": draw.randrange(4),
                "min_delta": draw.choice([0, 0.25, -0.5]),
                "cooldown": draw.choice([0, 0, 1, 3]),
                "min_lr": draw.choice([0.0, 0.375, 0.0625, 2.0]),
            }
        ),
        "verbose": 1,
    }
    values = quarters(draw)
    callback = keras.callbacks.ReduceLROnPlateau(**arguments)
    callback.set_model(network)
    network.optimizer.learning_rate = rate
    rates = []
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        callback.on_train_begin()
        for epoch, value in enumerate(values):
            callback.on_epoch_end(epoch, {arguments["monitor"]: value})
            rates.append(float(network.optimizer.learning_rate))
    return {"arguments": arguments, "values": values, "rate": rate, "rates": rates, "messages": messages(out)}


def learning_rate_scheduler(network):
    callback = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate if epoch < 2 else rate * 0.9)
    callback.set_model(network)
    network.optimizer.learning_rate = 0.5
    rates = []
    for epoch in range(6):
        callback.on_epoch_begin(epoch)
        rates.append(float(network.optimizer.learning_rate))
    return rates


END = ".weights.h5"


def model_checkpoint(network, draw, batches=None):
    names = ["loss", "accuracy"] + ([] if batches else ["val_loss", "val_accuracy"])
    arguments = {
        "monitor": draw.choice(names),
        "mode": draw.choice(["auto", "auto", "min", "max"]),
        "save_best_only": draw.choice([False, True, True]),
        "save_weights_only": True,
        "save_freq": batches or "epoch",
        "initial_value_threshold": draw.choice([None, None, 2.0]),
        "verbose": 1,
    }
    template = draw.choice(["{epoch:02d}-{loss:.4f}", "m{epoch}{accuracy}", "{{x}}{loss:9.3f}", "one"])
    if batches:
        template += "-{batch:03d}"
    numbers = [dict(zip(names, quarters(draw, len(names)))) for _ in range(EPOCHS)]
    written = []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder) / "new"
        callback = keras.callbacks.ModelCheckpoint(f"{folder}/{template}{END}", **arguments)
        callback.set_model(network)
        # Keras sets it at the first epoch's end only, and between batches fails before.
        callback._set_monitor_op()
        callback.on_train_begin()
        for index, logs in enumerate(numbers):
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                if batches:
                    # Five batches an epoch.
                    epoch, batch = divmod(index, 5)
                    if batch == 0:
                        callback.on_epoch_begin(epoch)
                    callback.on_train_batch_end(batch, dict(logs))
                else:
                    callback.on_epoch_begin(index)
                    callback.on_epoch_end(index, dict(logs))
            files = sorted(path.name for path in folder.glob("*")) if folder.exists() else []
            assert len(files) < 2
            written.append(
                {
                    "file": files[0].removesuffix(END) if files else None,
                    "messages": [
                        line.replace(f"{folder}/", "").replace(END, "") for line in messages(out)
                    ],
                }
            )
            for file in files:
                (folder / file).unlink()
    return {"template": template, "arguments": arguments, "numbers": numbers, "written": written}


def csv_logger(arguments, before, epochs):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "log.csv"
        if before is not None:
            path.write_bytes(before.encode())
        callback = keras.callbacks.CSVLogger(str(path), **arguments)
        callback.on_train_begin()
        for epoch, logs in enumerate(epochs):
            callback.on_epoch_end(epoch, dict(logs))
        callback.on_train_end()
        return {
            "arguments": arguments,
            "before": before,
            "numbers": epochs,
            "content": path.read_bytes().decode(),
        }


def by_lines(record):
    """JSON with a line for each case."""
    parts = []
    for name, value in record.items():
        if isinstance(value, list):
            text = "[\n" + ",\n".join(json.dumps(case) for case in value) + "\n]"
        else:
            text = json.dumps(value)
        parts.append(f"{json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}"


def main():
    network = model()
    draw = random.Random(1)
    tables = [
        [{"loss": 1 / 3, "accuracy": 1.0, "val_loss": 1.25e-05, "val_accuracy": 0.1}] * 2,
        [{"loss": 123456.789, "accuracy": 0.0001}, {"loss": 1e-300, "accuracy": 0.5}],
        # As where ReduceLROnPlateau or LearningRateScheduler is called before.
        [{"val_loss": 2.5, "val_accuracy": 1.0, "accuracy": 0.75, "loss": 0.5, "learning_rate": 0.001}],
    ]
    befores = [None, "", "epoch,accuracy\r\n0,0.5\r\n", "0.5"]
    settings = [{}, {"append": True}, {"separator": ";"}, {"separator": "."}, {"separator": "a", "append": True}]
    record = {
        "versions": {"keras": keras.__version__, "jax": jax.__version__, "numpy": np.__version__},
        "early_stopping": [early_stopping(network, draw) for _ in range(120)],
        "reduce_lr_on_plateau": [reduce_lr_on_plateau(network, draw) for _ in range(120)]
        + [
            reduce_lr_on_plateau(network, draw, {}, 0.01),
            reduce_lr_on_plateau(network, draw, {"patience": 2, "min_lr": 3e-4}, 0.01),
            reduce_lr_on_plateau(network, draw, {"patience": 1, "factor": 0.3, "cooldown": 2}, 0.01),
        ],
        "learning_rate_scheduler": learning_rate_scheduler(network),
        "model_checkpoint": [model_checkpoint(network, draw) for _ in range(40)]
        + [model_checkpoint(network, draw, batches) for batches in [1, 2, 3, 4, 5, 7, 11, 13] * 3],
        "csv_logger": [
            csv_logger(arguments, before, epochs)
            for arguments in settings
            for before in befores
            for epochs in tables
        ],
    }
    (HERE / "callbacks.json").write_text(by_lines(record) + "\n")


if __name__ == "__main__":
    main()
