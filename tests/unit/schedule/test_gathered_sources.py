"""Gathers from what is computed on the fly: positions, masks and random elements then depend on data."""

import numpy
import pytest

import lazygrad as lg

CASES = {
    "positions": lambda: lg.arange(12).reshape(3, 4)[[0, 2], 1:3],
    "positions in another order": lambda: lg.arange(12).reshape(2, 6).T.reshape(3, 4)[lg.tensor([2, 0])],
    "two gathers": lambda: lg.arange(48).reshape(6, 8).flip(0)[lg.tensor([1, 5])][:, lg.tensor([0, 7, 3])],
    "a mask": lambda: lg.nn.functional.pad(lg.arange(6.0) + 1, (2, 2))[lg.tensor([0, 2, 3, 9])],
    "a value": lambda: (lg.arange(24).reshape(4, 6) * 2)[lg.tensor([3, 0, 2])],
    "random elements": lambda: lg.rand(4, 4, generator=lg.Generator().manual_seed(3))[lg.tensor([1, 3])],
}


@pytest.mark.parametrize("name", CASES)
def test_gathered_sources(name, compiled_device, monkeypatch):
    monkeypatch.setenv("LAZYGRAD_VERIFY", "1")  # a kernel that leaves its buffers may compute the right values

    def result(device):
        lg.set_default_device(device)
        try:
            return CASES[name]().numpy()
        finally:
            lg.set_default_device(None)

    numpy.testing.assert_array_equal(result(compiled_device), result("numpy:0"))
