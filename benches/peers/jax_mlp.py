"""The tutorial in JAX. An epoch is one compiled scan over its batches, in a given order.

For a fair comparison, the data are two arrays in memory with scaled pixels. Parameters and moments are donated, not copied.
Everything is compiled ahead of time, and the compilation is reported separately. Training computes no metrics. The
process's affinity limits the CPUs, since XLA has no other setting. It is set before JAX starts its threads.
"""

import os
import time
from functools import partial

import mnist

arguments = mnist.arguments()
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.threads])
os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import jax.numpy as jnp
import jaxlib
import numpy as np

RATE, BETA_1, BETA_2, EPSILON = 1e-3, 0.9, 0.999, 1e-7


def logits_of(layers, x):
    """The network without the softmax, which the loss computes."""
    for kernel, bias in layers[:-1]:
        x = jax.nn.relu(x @ kernel + bias)
    kernel, bias = layers[-1]
    return x @ kernel + bias


def loss_of(layers, x, y):
    """Mean cross-entropy."""
    log_probabilities = jax.nn.log_softmax(logits_of(layers, x))
    return -jnp.take_along_axis(log_probabilities, y[:, None], axis=1).mean()


def step(state, x, y):
    """One step of Adam, by Keras's formula."""
    layers, first, second, count = state
    gradients = jax.grad(loss_of)(layers, x, y)
    count += 1
    rate = RATE * jnp.sqrt(1 - BETA_2**count) / (1 - BETA_1**count)
    first = jax.tree.map(lambda m, g: m + (g - m) * (1 - BETA_1), first, gradients)
    second = jax.tree.map(lambda v, g: v + (g * g - v) * (1 - BETA_2), second, gradients)
    layers = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + EPSILON), layers, first, second)
    return layers, first, second, count


@partial(jax.jit, donate_argnums=0)
def train_epoch(state, x, y, order):
    """One pass over the training samples in the given order. The last batch is smaller."""
    whole = mnist.TRAIN // mnist.BATCH * mnist.BATCH
    batches = order[:whole].reshape(-1, mnist.BATCH)
    state, _ = jax.lax.scan(lambda state, rows: (step(state, x[rows], y[rows]), None), state, batches)
    return step(state, x[order[whole:]], y[order[whole:]])


@jax.jit
def evaluate(layers, x, y):
    """Mean loss and accuracy."""
    return loss_of(layers, x, y), (logits_of(layers, x).argmax(1) == y).mean()


def main():
    (x, y), test = [
        (jnp.asarray(x), jnp.asarray(y, jnp.int32))
        for x, y in (mnist.split(arguments.data, name) for name in ("train", "t10k"))
    ]
    validation = x[mnist.TRAIN :], y[mnist.TRAIN :]
    rng = np.random.default_rng(arguments.seed)
    layers = jax.tree.map(jnp.asarray, mnist.glorot(rng))
    zeros = partial(jax.tree.map, jnp.zeros_like)
    state = jax.block_until_ready((layers, zeros(layers), zeros(layers), jnp.float32(0)))

    start = time.perf_counter()
    train = train_epoch.lower(state, x, y, jnp.arange(mnist.TRAIN, dtype=jnp.int32)).compile()
    validate = evaluate.lower(state[0], *validation).compile()
    compile_seconds = time.perf_counter() - start

    start = time.perf_counter()
    for epoch in range(mnist.EPOCHS):
        state = train(state, x, y, rng.permutation(mnist.TRAIN).astype(np.int32))
        loss, accuracy = map(float, validate(state[0], *validation))
        print(f"Epoch {epoch + 1} - val_accuracy: {accuracy:.4f} - val_loss: {loss:.4f}")
    fit_seconds = time.perf_counter() - start
    _, test_accuracy = evaluate(state[0], *test)
    versions = {"jax": jax.__version__, "jaxlib": jaxlib.__version__}
    mnist.report(fit_seconds, test_accuracy, versions, compile_seconds)


main()
