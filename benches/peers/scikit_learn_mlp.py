"""The tutorial in scikit-learn's MLPClassifier, without weight decay.

Fair: float32 pixels scaled beforehand, as the others have. It has no validation after each epoch that would
not also stop early or lose samples, so it validates once, at the end of the timed part: less work than the
others do. Unfair: NumPy has no switch to flush denormal numbers, which Adam's moments of rare pixels decay to
and which are slow.
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
    x, y = mnist.part(arguments.data, "train")
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
        test_accuracy = model.score(*mnist.part(arguments.data, "t10k"))
    mnist.report(fit_seconds, test_accuracy, {"scikit-learn": sklearn.__version__, "numpy": np.__version__})


main()
