"""Embedding: rows of a learned table, looked up by number."""

from __future__ import annotations

import lazygrad
from lazygrad.nn import functional as F
from lazygrad.nn import init
from lazygrad.nn.common_types import DeviceLike, DTypeLike
from lazygrad.nn.module import Module
from lazygrad.nn.parameter import Parameter
from lazygrad.tensor import Tensor


class Embedding(Module):
    """Look up rows: indices of shape (*) -> (*, embedding_dim).

    Args:
        num_embeddings: rows of the table.
        embedding_dim: columns of the table.
        padding_idx: a row that starts at zero and gets no gradient; negative counts from the end.

    Attributes:
        weight: (num_embeddings, embedding_dim), standard normal at first.

    Example:
        >>> import lazygrad as lg
        >>> tuple(lg.nn.Embedding(10, 3)(lg.tensor([[1, 2], [4, 5]])).shape)
        (2, 2, 3)
    """

    weight: Parameter

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        device: DeviceLike = None,
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__()
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ValueError(f"padding_idx must be within num_embeddings: got {padding_idx} for {num_embeddings} rows")
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.weight = Parameter(lazygrad.empty(num_embeddings, embedding_dim, device=device, dtype=dtype))
        self.reset_parameters()

    @classmethod
    def from_pretrained(cls, embeddings: Tensor, freeze: bool = True, padding_idx: int | None = None) -> Embedding:
        """Make a layer whose table is `embeddings` (rows, columns), frozen unless told otherwise."""
        if embeddings.dim() != 2:
            raise ValueError(
                f"Embeddings parameter is expected to be 2-dimensional, got shape {tuple(embeddings.shape)}"
            )
        rows, columns = embeddings.shape
        layer = cls(rows, columns, padding_idx)
        layer.weight = Parameter(embeddings, requires_grad=not freeze)
        return layer

    def reset_parameters(self) -> None:
        """Draw the table anew; the padding row becomes zero."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with lazygrad.no_grad():
                self.weight[self.padding_idx] = 0

    def forward(self, input: Tensor) -> Tensor:
        """Look up integer indices of any shape (*), giving (*, embedding_dim)."""
        return F.embedding(input, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        """Show the table's size and the padding row."""
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"
