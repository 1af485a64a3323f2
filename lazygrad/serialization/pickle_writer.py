"""Writing a pickle that torch.load reads, without torch and without Python's pickler.

Plain containers and ``StoredArray`` leaves come in; out go pickle bytes of protocol 2 and the storages that
they refer to. Python's pickler would import torch to check the names it writes; the few opcodes needed are
written here by hand, and they are those that ``torch.load(weights_only=True)`` admits.
"""

import pickle
import struct
from collections import OrderedDict

import numpy as np

from lazygrad.serialization.dtypes import DTYPES, STORAGE_CLASS_OF
from lazygrad.serialization.errors import CheckpointError
from lazygrad.serialization.stored import Array, StoredArray, StoredDtype


def write_pickle(tree: object, source: str) -> tuple[bytes, list[Array]]:
    r"""The pickle of ``tree`` and its storages; the storage with key ``str(i)`` is the i-th array.

    Equal views of the same memory (one tensor under two names) become one storage.

    Args:
        tree: dict, OrderedDict, list, tuple, set, str, bytes, bool, int, float, None, ``StoredDtype`` and
            ``StoredArray``, nested without cycles.
        source: the file's name, for messages.

    Raises:
        CheckpointError: something else is in the tree.

    >>> import numpy as np
    >>> data, storages = write_pickle({"weight": StoredArray(np.ones(3))}, "example")
    >>> data[:2], storages
    (b'\x80\x02', [array([1., 1., 1.])])
    """
    writer = _Writer(source)
    writer.write(tree)
    return b"\x80\x02" + bytes(writer.out) + pickle.STOP, writer.storages


class _Writer:
    def __init__(self, source: str) -> None:
        self.source = source
        self.out = bytearray()
        self.storages: list[Array] = []
        self.keys: dict[object, str] = {}

    def write(self, value: object) -> None:
        match value:
            case None:
                self.out += pickle.NONE
            case bool():
                self.out += pickle.NEWTRUE if value else pickle.NEWFALSE
            case int():
                self._integer(value)
            case float():
                self.out += pickle.BINFLOAT + struct.pack(">d", value)
            case str():
                encoded = value.encode("utf-8", "surrogatepass")
                self.out += pickle.BINUNICODE + struct.pack("<I", len(encoded)) + encoded
            case bytes():
                self._call("_codecs encode", value.decode("latin-1"), "latin1")
            case OrderedDict():
                self._call("collections OrderedDict")
                self._items(value)
                if hasattr(value, "_metadata"):
                    self.write({"_metadata": value._metadata})
                    self.out += pickle.BUILD
            case dict():
                self.out += pickle.EMPTY_DICT
                self._items(value)
            case list():
                self.out += pickle.EMPTY_LIST + pickle.MARK
                self._all(value)
                self.out += pickle.APPENDS
            case tuple():
                self.out += pickle.MARK
                self._all(value)
                self.out += pickle.TUPLE
            case set():
                self._call("__builtin__ set", sorted(value, key=repr))
            case StoredDtype():
                self._name(f"torch {value.name}")
            case StoredArray():
                self._tensor(value)
            case _:
                raise CheckpointError(
                    f"{self.source}: cannot save a {type(value).__module__}.{type(value).__qualname__}. "
                    f"A checkpoint holds tensors, dtypes, dicts, lists, tuples, sets, strings, bytes and "
                    f"Python's numbers (int(x) or float(x) makes one of a NumPy scalar); of other objects, "
                    f"save the state_dict()"
                )

    def _integer(self, value: int) -> None:
        if -(2**31) <= value < 2**31:
            self.out += pickle.BININT + struct.pack("<i", value)
            return
        encoded = pickle.encode_long(value)
        if len(encoded) > 255:
            raise CheckpointError(f"{self.source}: an integer of {len(encoded)} bytes; 255 can be saved")
        self.out += pickle.LONG1 + bytes([len(encoded)]) + encoded

    def _items(self, mapping: dict[object, object]) -> None:
        self.out += pickle.MARK
        for key, item in mapping.items():
            self.write(key)
            self.write(item)
        self.out += pickle.SETITEMS

    def _all(self, values: list[object] | tuple[object, ...]) -> None:
        for value in values:
            self.write(value)

    def _name(self, module_and_name: str) -> None:
        module, name = module_and_name.split(" ")
        self.out += pickle.GLOBAL + f"{module}\n{name}\n".encode()

    def _call(self, function: str, *arguments: object) -> None:
        self._name(function)
        self.write(arguments)
        self.out += pickle.REDUCE

    def _tensor(self, stored: StoredArray) -> None:
        array = stored.array
        if array.dtype.name not in DTYPES:
            raise CheckpointError(f"{self.source}: cannot save an array of {array.dtype.name}")
        storage_class = STORAGE_CLASS_OF.get(array.dtype.name)
        strides = tuple(step // array.itemsize for step in np.empty(array.shape, array.dtype).strides)
        rebuild = "_rebuild_tensor_v2" if storage_class else "_rebuild_tensor_v3"
        if stored.is_parameter:
            self._name("torch._utils _rebuild_parameter")
            self.out += pickle.MARK
        self._name(f"torch._utils {rebuild}")
        self.out += pickle.MARK
        self._storage(array, storage_class)
        self._all((0, array.shape, strides, stored.requires_grad, OrderedDict()))
        if not storage_class:
            self.write(StoredDtype(array.dtype.name))
        self.out += pickle.TUPLE + pickle.REDUCE
        if stored.is_parameter:
            self._all((stored.requires_grad, OrderedDict()))
            self.out += pickle.TUPLE + pickle.REDUCE

    def _storage(self, array: Array, storage_class: str | None) -> None:
        memory = array.ctypes.data if array.size else len(self.storages)
        identity = (memory, array.shape, array.strides, array.dtype.name)
        if identity not in self.keys:
            self.keys[identity] = str(len(self.storages))
            self.storages.append(np.ascontiguousarray(array))
        self.out += pickle.MARK
        self.write("storage")
        self._name(f"torch {storage_class}" if storage_class else "torch.storage UntypedStorage")
        count = array.size if storage_class else array.nbytes
        self._all((self.keys[identity], "cpu", count))
        self.out += pickle.TUPLE + pickle.BINPERSID
