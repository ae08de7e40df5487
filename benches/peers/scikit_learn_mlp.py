"""The tutorial in scikit-learn's MLPClassifier, without weight decay.

The pixels are scaled float32 numbers, as for the other peers. MLPClassifier validates after each epoch only with early stopping
and fewer training samples, so this program validates once, at the end of the measured time. That is less work than the
others do. On the other hand, NumPy cannot flush denormal numbers to zero, which are slow: Adam's moments of rare pixels
decay to them.
"""

import time
import warnings

import numpy as np
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

import mnist


def main():
    arguments = mnist.arguments()
    warnings.simplefilter("ignore", ConvergenceWarning)
    x, y = mnist.split(arguments.data, "train")
    model = MLPClassifier(
        hidden_layer_sizes=(128, 64),
        alpha=0,
        batch_size=mnist.BATCH,
        learning_rate_init=1e-3,
        max_iter=mnist.EPOCHS,
        random_state=arguments.seed,
        epsilon=1e-7,
        early_stopping=False,
    )
    with threadpool_limits(arguments.threads):
        start = time.perf_counter()
        model.fit(x[: mnist.TRAIN], y[: mnist.TRAIN])
        accuracy = model.score(x[mnist.TRAIN :], y[mnist.TRAIN :])
        fit_seconds = time.perf_counter() - start
        print(f"Epoch {model.n_iter_} - val_accuracy: {accuracy:.4f}")
        test_accuracy = model.score(*mnist.split(arguments.data, "t10k"))
    mnist.report(fit_seconds, test_accuracy, {"scikit-learn": sklearn.__version__, "numpy": np.__version__})


main()
