"""The tutorial in PyTorch, in eager mode, optimized for speed.

For a fair comparison, the data are two tensors in memory with scaled pixels. A batch is one gather of rows, without a
DataLoader. Adam is the fused one, with Keras's epsilon. Denormal numbers are flushed to zero, as TensorFlow and XLA do by
default: Adam's moments of rare pixels decay to them. No number returns to Python within an epoch, and training computes no
metrics. `torch.compile` is not used: neither for the loss nor for the whole step does it save time at this size.
"""

import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional

import mnist


def network(seed):
    """The model, with Keras's initial weights."""
    model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
    with torch.no_grad():
        for layer, (kernel, bias) in zip(model[::2], mnist.glorot(np.random.default_rng(seed))):
            layer.weight.copy_(torch.from_numpy(kernel.T))
            layer.bias.copy_(torch.from_numpy(bias))
    return model


@torch.inference_mode()
def evaluate(model, x, y):
    """Mean loss and accuracy."""
    logits = model(x)
    return functional.cross_entropy(logits, y).item(), (logits.argmax(1) == y).float().mean().item()


def train_epoch(model, adam, x, y):
    """One pass over the training samples in a new order."""
    for rows in torch.randperm(mnist.TRAIN).split(mnist.BATCH):
        loss = functional.cross_entropy(model(x.index_select(0, rows)), y.index_select(0, rows))
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()


def main():
    arguments = mnist.arguments()
    torch.set_flush_denormal(True)
    torch.set_num_threads(arguments.threads)
    torch.set_num_interop_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    (x, y), test = [
        (torch.from_numpy(x), torch.from_numpy(y.astype(np.int64)))
        for x, y in (mnist.split(arguments.data, name) for name in ("train", "t10k"))
    ]
    model = network(arguments.seed)
    adam = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7, fused=True)

    start = time.perf_counter()
    for epoch in range(mnist.EPOCHS):
        train_epoch(model, adam, x, y)
        loss, accuracy = evaluate(model, x[mnist.TRAIN :], y[mnist.TRAIN :])
        print(f"Epoch {epoch + 1} - val_accuracy: {accuracy:.4f} - val_loss: {loss:.4f}")
    fit_seconds = time.perf_counter() - start
    _, test_accuracy = evaluate(model, *test)
    mnist.report(fit_seconds, test_accuracy, {"torch": torch.__version__})


main()
