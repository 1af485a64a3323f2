"""The form of a parameter group: one look tells that nothing is different, and every difference is seen."""

import pytest

import lazygrad as lg
from lazygrad.optim.group_form import GroupForm


def trained(kind=lg.optim.Adam, **options):
    parameters = [lg.nn.Parameter(lg.ones(size)) for size in (2, 3)]
    optimizer = kind(parameters, lr=0.1, **options)
    for parameter in parameters:
        parameter.grad = lg.ones(*parameter.shape)
    optimizer.step()
    return optimizer


@pytest.mark.parametrize("kind", [lg.optim.Adam, lg.optim.SGD])
def test_numbers_do_not_matter(kind):
    optimizer = trained(kind)
    form = GroupForm(optimizer, 0)
    before = form()
    optimizer.param_groups[0].update(lr=0.2, initial_lr=0.3)
    assert not form.is_same()  # there is one option more
    assert form() == before
    optimizer.param_groups[0]["lr"] = 0.4
    optimizer.step()
    assert form.is_same()
    assert form() == before


def parameter(optimizer):
    return optimizer.param_groups[0]["params"][1]


def replace_state(optimizer):
    optimizer.state[parameter(optimizer)]["exp_avg"] = lg.zeros(3)


CHANGES = {
    "an option": lambda o: o.param_groups[0].update(eps=1e-3),
    "an option that reaches kernels": lambda o: o.param_groups[0].update(weight_decay=0.5),
    "another parameter": lambda o: o.param_groups[0]["params"].__setitem__(1, lg.nn.Parameter(lg.ones(3))),
    "a further parameter": lambda o: o.param_groups[0]["params"].append(lg.nn.Parameter(lg.ones(3))),
    "a frozen parameter": lambda o: parameter(o).requires_grad_(False),
    "replaced state": replace_state,
    "no state": lambda o: o.state[parameter(o)].clear(),
    "state of a parameter that is gone": lambda o: o.state.pop(parameter(o)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_difference_is_seen(change):
    optimizer = trained()
    form = GroupForm(optimizer, 0)
    before = form()
    assert form.is_same()
    change(optimizer)
    assert not form.is_same()
    assert form() != before


def test_state_that_is_the_same_value_in_another_tensor_is_the_same_form():
    optimizer = trained()
    form = GroupForm(optimizer, 0)
    before = form()
    state = optimizer.state[parameter(optimizer)]
    state["exp_avg"] = state["exp_avg"].detach()
    assert not form.is_same()
    assert form() == before
    assert form.is_same()
