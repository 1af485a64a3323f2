"""The tour that every autograd tutorial gives, with torch's names.

python examples/autograd_tour.py
"""

import argparse

import lazygrad as torch
from lazygrad import vision as torchvision


def train_one_step(pretrained: bool) -> None:
    """Run one forward pass, backward pass and update of ResNet-18."""
    model = torchvision.models.resnet18(pretrained=pretrained)
    data = torch.rand(1, 3, 64, 64)
    labels = torch.rand(1, 1000)

    prediction = model(data)

    loss = (prediction - labels).sum()
    loss.backward()

    optim = torch.optim.SGD(model.parameters(), lr=1e-2, momentum=0.9)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    optim.step()

    filled = sum(parameter.grad is not None for parameter in model.parameters())
    changed = sum(bool((old != new).any()) for old, new in zip(before, model.parameters(), strict=True))
    print(f"{len(before)} parameters: {filled} have gradients, {changed} changed in the step")


def differentiate() -> None:
    """Compute the gradient of a vector, and compare it with the formula."""
    a = torch.tensor([2.0, 3.0], requires_grad=True)
    b = torch.tensor([6.0, 4.0], requires_grad=True)

    Q = 3 * a**3 - b**2

    external_grad = torch.tensor([1.0, 1.0])
    Q.backward(gradient=external_grad)

    print(9 * a**2 == a.grad)
    print(-2 * b == b.grad)

    a.grad = b.grad = None
    Q = 3 * a**3 - b**2
    Q.sum().backward()
    print(9 * a**2 == a.grad)
    print(-2 * b == b.grad)

    try:
        (3 * a**3 - b**2).backward()
    except RuntimeError as error:
        print(f"RuntimeError: {error}")


def read_the_gradient() -> None:
    """Print a gradient as mathematics: it is a graph like any other, until its values are needed."""
    a = torch.tensor([2.0, 3.0], requires_grad=True)
    b = torch.tensor([6.0, 4.0], requires_grad=True)
    Q = 3 * a**3 - b**2
    gradient_a, gradient_b = torch.autograd.grad(Q.sum(), (a, b), create_graph=True)
    (second,) = torch.autograd.grad(gradient_a.sum(), a)
    print("Q         =", torch.symbolic(Q))
    print("dQ/da     =", torch.symbolic(gradient_a))
    print("dQ/db     =", torch.symbolic(gradient_b))
    print("d2Q/da2   =", torch.symbolic(second))


def main() -> None:
    """Give the tour."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pretrained", action="store_true", help="use torchvision's published weights (44 MB)")
    train_one_step(parser.parse_args().pretrained)
    differentiate()
    read_the_gradient()


if __name__ == "__main__":
    main()
