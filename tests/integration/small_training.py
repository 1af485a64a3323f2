"""A small network, its batches, and what its parameters are after each step: what tests of threads and interrupts train."""

from __future__ import annotations

import numpy

import lazygrad as lg

WIDTH, CLASSES, BATCH = 16, 4, 8


class Training:
    """A network of two layers and its optimizer; everything follows from ``seed``."""

    def __init__(self, device, seed=0, optimizer=lg.optim.Adam):
        numbers = numpy.random.default_rng(seed)

        def tensor(*shape):
            return lg.tensor(numbers.standard_normal(shape).astype("float32"), device=device)

        self.parameters = [tensor(WIDTH, WIDTH), tensor(WIDTH), tensor(WIDTH, CLASSES)]
        for parameter in self.parameters:
            parameter.requires_grad_(True)
        self.optimizer = optimizer(self.parameters, lr=0.01)
        self.inputs = tensor(BATCH, WIDTH)
        self.labels = lg.tensor(numbers.integers(0, CLASSES, BATCH), device=device)
        self.losses = []

    def step(self):
        first, bias, second = self.parameters
        self.optimizer.zero_grad()
        loss = lg.nn.functional.cross_entropy(lg.tanh(self.inputs @ first + bias) @ second, self.labels)
        loss.backward()
        self.optimizer.step()
        self.losses.append(loss.detach())

    def values(self):
        return [parameter.detach().numpy() for parameter in self.parameters]

    def run(self, steps):
        """The parameters before and after each step."""
        found = [self.values()]
        for _ in range(steps):
            self.step()
            found.append(self.values())
        return found


def same(left, right):
    """Whether two lists of arrays are equal but for the order of additions, which a schedule may change."""
    return all(numpy.allclose(a, b, rtol=1e-5, atol=1e-6) for a, b in zip(left, right, strict=True))
