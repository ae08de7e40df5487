"""The tutorial in Keras on TensorFlow, as Keras's users write it.

For a fair comparison, the images are scaled to float32 before the time of `fit` starts, and progress is one line per epoch.
The time of `fit` includes Keras's compilation in the first steps, since users wait for it too.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import time

import keras
import tensorflow as tf
from keras import layers

import mnist


def main():
    arguments = mnist.arguments()
    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    tf.config.threading.set_inter_op_parallelism_threads(arguments.threads)
    keras.utils.set_random_seed(arguments.seed)
    x_train, y_train = mnist.split(arguments.data, "train")
    x_test, y_test = mnist.split(arguments.data, "t10k")
    x_train, x_test = x_train.reshape(-1, 28, 28), x_test.reshape(-1, 28, 28)

    model = keras.Sequential(
        [
            keras.Input((28, 28)),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    start = time.perf_counter()
    model.fit(x_train, y_train, batch_size=32, epochs=5, validation_split=0.1, verbose=2)
    fit_seconds = time.perf_counter() - start
    _, test_accuracy = model.evaluate(x_test, y_test, verbose=0)
    mnist.report(fit_seconds, test_accuracy, {"keras": keras.__version__, "tensorflow": tf.__version__})


main()
