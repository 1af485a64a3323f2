"""The leaves of a checkpoint: an array as it lies in a file, and a dtype named in a file.

Readers produce them, writers take them, and neither knows anything about lazygrad's Tensor.
"""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

#: An array of any element type; the dtype of a checkpoint is known at run time only.
Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class StoredArray:
    """One tensor of a checkpoint, compared by identity.

    Arrays of one file that shared a storage when they were saved share memory again.

    >>> import numpy as np
    >>> stored = StoredArray(np.zeros((2, 3), dtype=np.float32), requires_grad=True)
    >>> stored.dtype, stored.array.shape
    ('float32', (2, 3))
    """

    array: Array
    requires_grad: bool = False
    is_parameter: bool = False

    @property
    def dtype(self) -> str:
        """The element type under torch's name, such as ``'float32'`` or ``'bfloat16'``."""
        return str(self.array.dtype.name)


@dataclass(frozen=True)
class StoredDtype:
    """A dtype object (``torch.float32``) kept in a checkpoint, by its name (``'float32'``)."""

    name: str
