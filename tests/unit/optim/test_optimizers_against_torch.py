"""SGD, Adam and AdamW over several steps against torch's, with all combinations of their flags."""

from itertools import product
from typing import Any

import numpy as np
import pytest

import lazygrad as lg

torch = pytest.importorskip("torch")

STEPS = 5
SHAPES = ((3, 4), (4,), ())


def combinations(options: dict[str, tuple[Any, ...]]) -> list[dict[str, Any]]:
    return [dict(zip(options, chosen, strict=True)) for chosen in product(*options.values())]


SGD = [
    options
    for options in combinations(
        {
            "momentum": (0, 0.9),
            "dampening": (0, 0.3),
            "weight_decay": (0, 0.1),
            "nesterov": (False, True),
            "maximize": (False, True),
        }
    )
    if not options["nesterov"] or (options["momentum"] and not options["dampening"])
]
ADAM = combinations(
    {"weight_decay": (0, 0.1), "amsgrad": (False, True), "maximize": (False, True), "eps": (1e-8, 1e-3)}
)
CASES = [
    *(("SGD", {"lr": 0.1, **options}) for options in SGD),
    *(("Adam", {"lr": 0.05, "betas": (0.8, 0.95), **options}) for options in ADAM),
    *(("AdamW", {"lr": 0.05, **options}) for options in ADAM),
]


def identifier(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{name}={option}" for name, option in value.items())
    return str(value)


def parameters_of(library: Any, dtype: str = "float32") -> list[Any]:
    random = np.random.default_rng(0)
    return [library.nn.Parameter(library.tensor(random.normal(size=shape).astype(dtype))) for shape in SHAPES]


def descend(library: Any, parameters: list[Any], optimizer: Any, step: int, unused: tuple[int, ...] = ()) -> None:
    random = np.random.default_rng(step)
    loss = library.zeros(())
    for position, parameter in enumerate(parameters):
        direction = random.normal(size=tuple(parameter.shape)).astype(np.float32)
        if position not in unused:
            loss = loss + (parameter * parameter * library.tensor(direction)).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def assert_equal(ours: list[Any], theirs: list[Any], tolerance: float = 1e-6) -> None:
    for our, their in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(our.detach().numpy(), their.detach().numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("name", "options"), CASES, ids=identifier)
def test_parameters_and_state_after_steps(name: str, options: dict[str, Any]) -> None:
    ours, theirs = parameters_of(lg), parameters_of(torch)
    our_optimizer = getattr(lg.optim, name)(ours, **options)
    their_optimizer = getattr(torch.optim, name)(theirs, **options)
    assert repr(our_optimizer) == repr(their_optimizer)
    for step in range(STEPS):
        descend(lg, ours, our_optimizer, step)
        descend(torch, theirs, their_optimizer, step)
        assert_equal(ours, theirs)

    our_state, their_state = our_optimizer.state_dict(), their_optimizer.state_dict()
    assert our_state["param_groups"] == their_state["param_groups"]
    assert our_state["state"].keys() == their_state["state"].keys()
    for number, their_values in their_state["state"].items():
        our_values = our_state["state"][number]
        assert our_values.keys() == their_values.keys()
        assert_equal(list(our_values.values()), [their_values[name] for name in our_values])


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_float64_is_computed_in_float64(name: str) -> None:
    options: dict[str, Any] = {"lr": 0.1, "weight_decay": 0.3}
    ours, theirs = parameters_of(lg, "float64"), parameters_of(torch, "float64")
    our_optimizer = getattr(lg.optim, name)(ours, **options)
    their_optimizer = getattr(torch.optim, name)(theirs, **options)
    for step in range(STEPS):
        descend(lg, ours, our_optimizer, step)
        descend(torch, theirs, their_optimizer, step)
    assert ours[0].dtype == lg.float64
    assert_equal(ours, theirs, tolerance=1e-12)


@pytest.mark.parametrize(
    ("name", "options"),
    [("SGD", {"momentum": 0.9, "dampening": 0.5}), ("Adam", {}), ("AdamW", {"amsgrad": True})],
)
def test_a_parameter_that_gets_gradients_later(name: str, options: dict[str, Any]) -> None:
    ours, theirs = parameters_of(lg), parameters_of(torch)
    our_optimizer = getattr(lg.optim, name)(ours, lr=0.1, **options)
    their_optimizer = getattr(torch.optim, name)(theirs, lr=0.1, **options)
    for step in range(STEPS):
        unused = (1,) if step in (0, 1, 3) else ()
        descend(lg, ours, our_optimizer, step, unused)
        descend(torch, theirs, their_optimizer, step, unused)
        assert_equal(ours, theirs)


@pytest.mark.parametrize(
    ("name", "options"), [("SGD", {"momentum": 0.9, "nesterov": True}), ("AdamW", {"amsgrad": True})]
)
def test_state_goes_both_ways_between_the_libraries(name: str, options: dict[str, Any]) -> None:
    ours, theirs = parameters_of(lg), parameters_of(torch)
    our_optimizer = getattr(lg.optim, name)(ours, lr=0.1, **options)
    their_optimizer = getattr(torch.optim, name)(theirs, lr=0.1, **options)
    for step in range(2):
        descend(lg, ours, our_optimizer, step)
        descend(torch, theirs, their_optimizer, step)

    def converted(state: dict[str, Any], tensor: Any) -> dict[str, Any]:
        values = {
            number: {key: tensor(np.asarray(value.detach().numpy())) for key, value in entry.items()}
            for number, entry in state["state"].items()
        }
        return {"state": values, "param_groups": state["param_groups"]}

    our_next = getattr(lg.optim, name)(ours, lr=7.0)
    their_next = getattr(torch.optim, name)(theirs, lr=7.0)
    our_next.load_state_dict(converted(their_optimizer.state_dict(), lg.tensor))
    their_next.load_state_dict(converted(our_optimizer.state_dict(), torch.tensor))
    assert our_next.param_groups[0]["lr"] == their_next.param_groups[0]["lr"] == 0.1
    for step in range(2, 4):
        descend(lg, ours, our_next, step)
        descend(torch, theirs, their_next, step)
    assert_equal(ours, theirs)


def test_options_by_group_and_changed_between_steps() -> None:
    def run(library: Any) -> list[Any]:
        parameters = parameters_of(library)
        groups = [{"params": parameters[:1]}, {"params": parameters[1:], "lr": 0.01, "momentum": 0.5}]
        optimizer = library.optim.SGD(groups, lr=0.1, weight_decay=0.2)
        for step in range(STEPS):
            optimizer.param_groups[0]["lr"] = 0.1 / (step + 1)
            optimizer.param_groups[1]["momentum"] = 0.5 + step / 10
            descend(library, parameters, optimizer, step)
        return parameters

    assert_equal(run(lg), run(torch))
