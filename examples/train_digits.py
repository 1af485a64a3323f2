"""Train a small convolutional network on scikit-learn's handwritten digits.

    python examples/train_digits.py
    LAZYGRAD_DEVICE=numpy python examples/train_digits.py

1797 images of 8x8 pixels, 10 classes, a fifth of them held out. All images lie on the device in one
tensor; an epoch permutes it there and takes batches as slices. Forward, backward and update of a batch
are one graph, the same for every batch: it is compiled at the first step and found in the cache after.
"""

import argparse
import time

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tqdm import trange

import lazygrad as lg
from lazygrad import nn
from lazygrad.nn import functional as F

SEED = 0
LARGEST_PIXEL = 16.0
HELD_OUT = 0.2


def convolution(in_channels: int, out_channels: int) -> tuple[nn.Module, ...]:
    """Return a 3x3 convolution that keeps the image's size, its batch norm and its activation."""
    return (
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )


def network() -> nn.Sequential:
    """Map images (N, 1, 8, 8) to logits (N, 10)."""
    return nn.Sequential(
        *convolution(1, 16),
        *convolution(16, 32),
        nn.MaxPool2d(2),
        *convolution(32, 64),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * 2 * 2, 10),
    )


def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return training and test images (N, 1, 8, 8), each followed by its labels (N,)."""
    data = load_digits()
    images = (data.images[:, None] / LARGEST_PIXEL).astype(np.float32)
    train_images, test_images, train_labels, test_labels = train_test_split(
        images, data.target, test_size=HELD_OUT, random_state=SEED, stratify=data.target
    )
    return train_images, train_labels, test_images, test_labels


def accuracy(model: nn.Module, images: lg.Tensor, labels: lg.Tensor) -> float:
    """Return the share of images that the model classifies as labelled."""
    model.eval()
    with lg.no_grad():
        correct = (model(images).argmax(dim=1) == labels).float().mean().item()
    model.train()
    return float(correct)


def main() -> None:
    """Train, and print the test accuracy."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=0.01, help="highest learning rate")
    options = parser.parse_args()

    started = time.perf_counter()
    lg.manual_seed(SEED)
    random = np.random.default_rng(SEED)
    train_images, train_labels, test_images, test_labels = (lg.tensor(part) for part in digits())
    number = len(train_images)
    # The last partial batch is dropped: another batch size would be another graph to compile.
    batches = number // options.batch

    model = network()
    optimizer = lg.optim.AdamW(model.parameters(), lr=options.lr)
    schedule = lg.optim.lr_scheduler.OneCycleLR(optimizer, options.lr, epochs=options.epochs, steps_per_epoch=batches)
    with trange(options.epochs, unit="epoch") as progress:
        for _ in progress:
            order = lg.tensor(random.permutation(number))
            images, labels = train_images[order], train_labels[order]
            lg.realize(images, labels)
            for batch in range(batches):
                part = slice(batch * options.batch, (batch + 1) * options.batch)
                optimizer.zero_grad()
                loss = F.cross_entropy(model(images[part]), labels[part])
                loss.backward()
                optimizer.step()
                schedule.step()
            progress.set_postfix(loss=f"{loss.item():.4f}")

    result = accuracy(model, test_images, test_labels)
    seconds = time.perf_counter() - started
    print(f"test accuracy {result:.2%} after {options.epochs} epochs, {seconds:.1f} s")


if __name__ == "__main__":
    main()
