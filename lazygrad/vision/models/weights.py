"""Pretrained weights by name: what `weights=` and `pretrained=` of a model function mean.

In: an entry of a `WeightsEnum`, its name, or `pretrained=True`. Out: the entry, whose `get_state_dict` reads
the checkpoint from a cache or downloads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

from lazygrad import hub

Self = TypeVar("Self", bound="WeightsEnum")


@dataclass(frozen=True)
class Weights:
    """Where a checkpoint is published, and what it classifies into.

    Attributes:
        url: the address; its last part is the name under which caches hold the file, with its hash.
        num_classes: outputs of the model that these weights fit.
    """

    url: str
    num_classes: int = 1000


class WeightsEnum(Enum):
    """The published weights of one model; a subclass lists them, and names one DEFAULT."""

    @classmethod
    def verify(cls: type[Self], weights: Self | str | None) -> Self | None:
        """Return the entry that `weights` means: an entry, its name, or None for no weights.

        Raises:
            ValueError: no entry has this name; the message lists those that there are.
            TypeError: it is neither, such as an entry for another model.
        """
        if weights is None or isinstance(weights, cls):
            return weights
        if not isinstance(weights, str):
            raise TypeError(
                f"Invalid Weight class provided; expected {cls.__name__} but received {type(weights).__name__}."
            )
        name = weights.removeprefix(f"{cls.__name__}.")
        if name not in cls.__members__:
            raise ValueError(f"{cls.__name__} has no weights {weights!r}: use {', '.join(cls.__members__)}")
        return cls[name]

    @classmethod
    def chosen(cls: type[Self], weights: Self | str | None, pretrained: bool, of_pretrained: Self) -> Self | None:
        """Return the entry asked for by either argument; `pretrained=True` means `of_pretrained`."""
        if pretrained and weights is not None:
            raise ValueError("give either weights or pretrained, not both")
        return of_pretrained if pretrained else cls.verify(weights)

    @property
    def url(self) -> str:
        """Return the checkpoint's address."""
        url: str = self.value.url
        return url

    def get_state_dict(self, progress: bool = True, check_hash: bool = True) -> Mapping[str, Any]:
        """Return the checkpoint's state dict, from a cache or downloaded.

        Args:
            progress: whether to show a progress bar while downloading.
            check_hash: whether the file's content must fit the hash in its name.
        """
        state_dict: Mapping[str, Any] = hub.load_state_dict_from_url(self.url, progress=progress, check_hash=check_hash)
        return state_dict
