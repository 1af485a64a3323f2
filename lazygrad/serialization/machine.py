"""Reading a pickle without Python's unpickler.

Bytes come in, plain containers and ``StoredArray`` leaves go out, and no object of the file's choosing is
ever made, called or changed in between. Python's own unpickler can be narrowed through ``find_class``, but it
still lets a file set attributes on whatever find_class returned; this stack machine knows only the opcodes
that torch writes (the pickle format is described in Python's ``pickletools``, which does the parsing).
"""

import inspect
import pickletools
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import BinaryIO, TypeVar

from lazygrad.serialization.errors import CheckpointError, RefusedClassError
from lazygrad.serialization.rebuild import AdmittedCall, StorageClass
from lazygrad.serialization.stored import StoredArray
from lazygrad.serialization.tree import is_plain_key

#: Fetches the bytes behind a persistent id: (storage class, key, number of elements) -> 1-d array.
LoadStorage = Callable[[StorageClass, str, int], StoredArray]

T = TypeVar("T")

_IMMEDIATE = {
    "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE",
    "SHORT_BINSTRING", "BINSTRING", "SHORT_BINBYTES", "BINBYTES",
}  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_NEW_CONTAINERS: dict[str, Callable[[], object]] = {
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_SET": set,
}
_FIXED_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_STORES = {"BINPUT", "LONG_BINPUT", "MEMOIZE"}
_IGNORED = {"PROTO", "FRAME", "STOP"}
_MARK = object()


def read_pickle(
    stream: BinaryIO, names: Mapping[tuple[str, str], object], load_storage: LoadStorage, source: str
) -> object:
    """The object of the pickle at the position of ``stream``, which ends just behind it.

    Args:
        stream: holds a pickle of protocol 2 or newer.
        names: what the pickle may name, see ``admitted_globals``.
        load_storage: called for each persistent id.
        source: the file's name, for messages.

    Raises:
        RefusedClassError: the pickle names something outside ``names``.
        CheckpointError: the pickle is cut off, malformed, or needs an opcode that no state dict needs.
    """
    machine = _Machine(names, load_storage, source)
    try:
        for opcode, argument, position in pickletools.genops(stream):
            machine.step(opcode.name, argument, position or 0)
    except CheckpointError:
        raise
    except (ValueError, OverflowError) as error:
        raise CheckpointError(f"{source}: the pickle in it is damaged or cut off: {error}") from error
    return machine.pop(object)


class _Machine:
    def __init__(self, names: Mapping[tuple[str, str], object], load_storage: LoadStorage, source: str) -> None:
        self.names = names
        self.load_storage = load_storage
        self.source = source
        self.stack: list[object] = []
        self.memo: dict[int, object] = {}

    def step(self, opcode: str, argument: object, position: int) -> None:
        match opcode:
            case _ if opcode in _IMMEDIATE:
                self.stack.append(argument)
            case _ if opcode in _CONSTANTS:
                self.stack.append(_CONSTANTS[opcode])
            case _ if opcode in _NEW_CONTAINERS:
                self.stack.append(_NEW_CONTAINERS[opcode]())
            case _ if opcode in _FIXED_TUPLES:
                self.stack.append(tuple(self.pop_many(_FIXED_TUPLES[opcode])))
            case _ if opcode in _STORES:
                self.memo[argument if isinstance(argument, int) else len(self.memo)] = self.top(object)
            case _ if opcode in _IGNORED:
                pass
            case "BINGET" | "LONG_BINGET" if isinstance(argument, int) and argument in self.memo:
                self.stack.append(self.memo[argument])
            case "MARK":
                self.stack.append(_MARK)
            case "TUPLE":
                self.stack.append(tuple(self.pop_to_mark()))
            case "APPEND":
                item = self.pop(object)
                self.top(list).append(item)
            case "APPENDS":
                items = self.pop_to_mark()
                self.top(list).extend(items)
            case "ADDITEMS":
                items = self.pop_to_mark()
                self.top(set).update(self.check_keys(items))
            case "SETITEM":
                self.set_items(self.pop_many(2))
            case "SETITEMS":
                self.set_items(self.pop_to_mark())
            case "GLOBAL" if isinstance(argument, str):
                self.push_name(*argument.split(" ", 1))
            case "STACK_GLOBAL":
                name = self.pop(str)
                self.push_name(self.pop(str), name)
            case "REDUCE":
                self.call()
            case "BUILD":
                self.build()
            case "BINPERSID":
                self.push_storage()
            case _:
                raise self.error(f"opcode {opcode} at byte {position} has no place in a state dict")

    def push_name(self, module: str, name: str) -> None:
        if (module, name) not in self.names:
            raise RefusedClassError(self.source, module, name)
        self.stack.append(self.names[module, name])

    def call(self) -> None:
        arguments = self.pop(tuple)
        function = self.pop(AdmittedCall)
        try:
            bound = inspect.signature(function.call).bind(*arguments)
        except TypeError as error:
            raise self.error(f"{function.name} is called with wrong arguments ({error})") from error
        self.stack.append(function.call(*bound.args))

    def build(self) -> None:
        # A state dict keeps the versions of its modules in an attribute; every other attribute is dropped.
        state = self.pop(dict)
        target = self.top(OrderedDict)
        if "_metadata" in state:
            target.__dict__["_metadata"] = state["_metadata"]

    def push_storage(self) -> None:
        match self.pop(tuple):
            case ("storage", StorageClass() as storage_class, str(key), str(), int(count), *view) if (
                count >= 0 and view in ([], [None])
            ):
                self.stack.append(self.load_storage(storage_class, key, count))
            case ("storage", StorageClass(), _, _, _, (_, _, _)):
                raise self.error("a storage is a view of another one; open the file in PyTorch and save it again")
            case other:
                raise self.error(f"a persistent id is {other!r:.200}, not a storage")

    def set_items(self, flat: list[object]) -> None:
        if len(flat) % 2:
            raise self.error("a dict has a key without a value")
        self.top(dict).update(zip(self.check_keys(flat[::2]), flat[1::2], strict=True))

    def check_keys(self, keys: list[object]) -> list[object]:
        for key in keys:
            if not is_plain_key(key):
                raise self.error(f"a {type(key).__name__} is a key, which only strings and numbers may be")
        return keys

    def top(self, kind: type[T]) -> T:
        value = self.stack[-1] if self.stack else _MARK
        if value is _MARK or not isinstance(value, kind):
            found = "nothing" if value is _MARK else f"a {type(value).__name__}"
            raise self.error(f"{found} stands where a {kind.__name__} is needed")
        return value

    def pop(self, kind: type[T]) -> T:
        value = self.top(kind)
        self.stack.pop()
        return value

    def pop_many(self, count: int) -> list[object]:
        return [self.pop(object) for _ in range(count)][::-1]

    def pop_to_mark(self) -> list[object]:
        items: list[object] = []
        while self.stack:
            value = self.stack.pop()
            if value is _MARK:
                return items[::-1]
            items.append(value)
        raise self.error("a container has no beginning")

    def error(self, problem: str) -> CheckpointError:
        return CheckpointError(f"{self.source}: the pickle in it is damaged or hostile: {problem}")
