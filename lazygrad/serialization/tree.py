"""Walking the nested containers of a checkpoint.

A tree comes in, an equal tree with every leaf converted goes out. A value met twice is converted once, so
tensors under two names stay one tensor, and a file that shares containers to look exponentially large costs
no more than its size. What comes out is no cycle and no deeper than ``MAX_DEPTH``.
"""

from collections import OrderedDict
from collections.abc import Callable

from lazygrad.serialization.errors import CheckpointError

#: Real checkpoints nest less than ten deep; the limit keeps a hostile file off Python's recursion limit.
MAX_DEPTH = 100

_PLAIN_KEYS = (str, int, float, bytes, type(None))


def is_plain_key(key: object) -> bool:
    """Whether ``key`` may be a dict key or set member: a str, bytes, number, None, or a flat tuple of them.

    Nested tuples are out because Python hashes them recursively without a limit.
    """
    parts = key if isinstance(key, tuple) else (key,)
    return all(isinstance(part, _PLAIN_KEYS) for part in parts)


def convert_tree(tree: object, leaf: Callable[[object], object], source: str) -> object:
    """``tree`` with ``leaf`` applied to everything that is no dict, list or tuple.

    Args:
        tree: nested dicts, OrderedDicts, lists and tuples. An OrderedDict keeps its ``_metadata``.
        leaf: called once for each distinct leaf object.
        source: the file's name, for messages.

    Raises:
        CheckpointError: a container contains itself, or nesting is deeper than ``MAX_DEPTH``.

    >>> convert_tree({"a": [1, 2], "b": (3,)}, lambda n: n * 10, "example")
    {'a': [10, 20], 'b': (30,)}
    """
    return _Walk(leaf, source).convert(tree, 0)


class _Walk:
    def __init__(self, leaf: Callable[[object], object], source: str) -> None:
        self.leaf = leaf
        self.source = source
        self.done: dict[int, object] = {}
        self.unfinished: set[int] = set()

    def convert(self, value: object, depth: int) -> object:
        key = id(value)
        if key in self.done:
            return self.done[key]
        if key in self.unfinished:
            raise CheckpointError(f"{self.source}: a container contains itself, which a checkpoint cannot")
        if depth > MAX_DEPTH:
            raise CheckpointError(f"{self.source}: containers nest deeper than {MAX_DEPTH} levels; flatten the object")
        self.unfinished.add(key)
        result = self._convert_new(value, depth + 1)
        self.unfinished.remove(key)
        self.done[key] = result
        return result

    def _convert_new(self, value: object, depth: int) -> object:
        if isinstance(value, OrderedDict):
            ordered = OrderedDict((name, self.convert(item, depth)) for name, item in value.items())
            if hasattr(value, "_metadata"):
                ordered.__dict__["_metadata"] = self.convert(value._metadata, depth)
            return ordered
        if isinstance(value, dict):
            return {name: self.convert(item, depth) for name, item in value.items()}
        if isinstance(value, list):
            return [self.convert(item, depth) for item in value]
        if isinstance(value, tuple):
            return tuple(self.convert(item, depth) for item in value)
        return self.leaf(value)
