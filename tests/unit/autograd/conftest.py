from unit.tensor.against_torch import numpy_device

__all__ = ["numpy_device"]
