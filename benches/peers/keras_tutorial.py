"""The tutorial in Keras on TensorFlow, as its user writes it.

Fair: the pictures are scaled before the clock starts, as float32, so that `fit` need not convert them, and
progress is one line per epoch. What Keras compiles for itself in the first steps is a part of `fit`, since a
user waits for it too.
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
    x_train, y_train = mnist.part(arguments.data, "train")
    x_test, y_test = mnist.part(arguments.data, "t10k")
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
