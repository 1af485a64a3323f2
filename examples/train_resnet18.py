"""Train ResNet-18 on random images, and print how many images a second go through a training step.

python examples/train_resnet18.py --batch 32 --size 64 --steps 20
"""

import argparse
import statistics
import time

from tqdm import trange

import lazygrad as lg
from lazygrad import vision
from lazygrad.nn import functional as F

# Steps that compile kernels and fill caches, and so are left out of the throughput.
WARM_UP_STEPS = 2


def main() -> None:
    """Run the steps, and print the median time of one."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--batch", type=int, default=32, help="images a step")
    parser.add_argument("--size", type=int, default=64, help="height and width of an image")
    parser.add_argument("--steps", type=int, default=10, help="steps to measure")
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--lr", type=float, default=0.01)
    options = parser.parse_args()

    lg.manual_seed(0)
    model = vision.models.resnet18(num_classes=options.classes)
    optimizer = lg.optim.SGD(model.parameters(), lr=options.lr, momentum=0.9, weight_decay=1e-4)
    images = lg.rand(options.batch, 3, options.size, options.size).realize()
    labels = lg.randint(0, options.classes, (options.batch,)).realize()

    seconds = []
    with trange(WARM_UP_STEPS + options.steps, unit="step") as progress:
        for step in progress:
            started = time.perf_counter()
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            # Reading the loss waits for the device; without it the clock would stop too early.
            progress.set_postfix(loss=f"{loss.item():.4f}")
            if step >= WARM_UP_STEPS:
                seconds.append(time.perf_counter() - started)

    median = statistics.median(seconds)
    print(
        f"batch {options.batch}, {options.size}x{options.size}: {median * 1000:.1f} ms a step, "
        f"{options.batch / median:.1f} images/s"
    )


if __name__ == "__main__":
    main()
