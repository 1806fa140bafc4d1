"""Reading what a pickle describes, without building any of it.

A pickle is a program that names functions to call. This reads the program and calls none of them.
It returns plain dictionaries, lists, numbers and strings, the places where the numbers of arrays
are stored, and the names of everything else. Time and memory are limited, whatever the file claims.
"""

import builtins
import sys
from collections.abc import Callable, Iterator
from pickletools import genops
from typing import IO, Any, NamedTuple

# Weights take about 40 operations and 200 bytes per tensor; options and optimizers not much more.
MOST_OPERATIONS, MOST_BYTES = 500_000, 2**25
_MOST_LINE, _MOST_NAME, _MOST_AXES, _MOST_BITS = 2**16, 300, 8, 128

# Modules of Python's standard library that only hold data.
_DATA = {"argparse", "array", "collections", "copyreg", "datetime", "decimal", "enum", "fractions"}
_DATA |= {"functools", "pathlib", "types", "uuid"}
_ARRAYS = {"torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2"}
# Functions whose first argument is the array.
_AROUND_ARRAYS = {
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
}
_DICTIONARIES = {"collections.OrderedDict", "collections.defaultdict", "builtins.dict"}


class Strange(ValueError):
    """The file does not contain weights, or would take too much memory or time."""


class Name(NamedTuple):
    """The dotted name of something that a pickle calls or builds."""

    text: str


class Built(dict[object, object]):
    """Stands for an object that only running code could build, with the items it would get."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


class Storage(NamedTuple):
    """Numbers that are stored in the file outside of the pickle."""

    kind: str
    """Such as `FloatStorage`."""
    key: str
    numbers: int


class Array(NamedTuple):
    """A part of a storage. Offset and strides count numbers, not bytes."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Bounded:
    """A file that refuses to be read beyond a limit."""

    def __init__(self, file: IO[bytes], most: int = MOST_BYTES) -> None:
        self._file, self._left = file, most

    def read(self, size: int) -> bytes:
        return self._file.read(self._taken(size))

    def readline(self) -> bytes:
        line = self._file.readline(_MOST_LINE)
        self._taken(len(line))
        return line

    def tell(self) -> int:
        return self._file.tell()

    def _taken(self, size: int) -> int:
        if not 0 <= size <= self._left:
            raise Strange("describing its weights takes too much memory")
        self._left -= size
        return size


class Described(NamedTuple):
    """The content of a pickle."""

    value: object
    storages: dict[str, Storage]
    """All storages that it refers to, by their keys."""


def read_pickle(file: IO[bytes] | Bounded) -> Described:
    """The content of the pickle at a file's position, which moves to the pickle's end.

    Raises:
        Strange: it names a standard library function that weights never need, or is too large.
        Exception: anything, if the pickle is damaged.
    """
    bounded = file if isinstance(file, Bounded) else Bounded(file)
    machine = _Machine()
    for opcode, argument, _ in genops(bounded):  # type: ignore[arg-type]
        machine.spend(1)
        if opcode.name == "STOP":
            break
        machine.do(opcode.name, argument)
    return Described(machine.stack.pop(), machine.storages)


class _Machine:
    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.storages: dict[str, Storage] = {}
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self._left = MOST_OPERATIONS

    def spend(self, operations: int) -> None:
        self._left -= operations
        if self._left < 0:
            raise Strange("the description of its weights is too long")

    def do(self, name: str, argument: Any) -> None:
        if name in _VALUES:
            big = isinstance(argument, int) and argument.bit_length() > _MOST_BITS
            self.stack.append(Built("a number with too many digits") if big else argument)
        elif name in _FRESH:
            self.stack.append(_FRESH[name]())
        elif name in _STEPS:
            _STEPS[name](self, argument)
        else:
            raise Strange(f"not a description of weights: it uses the pickle operation {name}")

    def last(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise IndexError
        taken = self.stack[-count:]
        del self.stack[-count:]
        return taken

    def since_mark(self) -> list[Any]:
        place = self.marks.pop()
        taken = self.stack[place:]
        del self.stack[place:]
        return taken

    def add(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(values)

    def set(self, flat: list[Any]) -> None:
        _put(self.stack[-1], zip(flat[::2], flat[1::2], strict=True))

    def call(self, what: object, arguments: Any) -> None:
        self.spend(len(arguments))  # arguments stored once may be used in many calls
        self.stack.append(self._given(what, arguments))

    def call_since_mark(self) -> None:
        what, *arguments = self.since_mark()
        self.call(what, tuple(arguments))

    def store(self, identity: Any) -> None:
        self.spend(len(identity))
        self.stack.append(self._stored(identity))

    def _given(self, what: object, arguments: Any) -> object:
        """The result of a call, for the few known functions; none is called."""
        if not isinstance(what, Name):
            return Built("the result of a call")
        name = what.text
        if name in _ARRAYS:
            return _array(*arguments[:4])
        if name in _AROUND_ARRAYS and isinstance(arguments[0], Array):
            return arguments[0]
        if name == "torch.Size":
            return arguments[0]
        if name in _DICTIONARIES:
            made: dict[object, object] = {}
            for pairs in arguments:
                if isinstance(pairs, list | tuple):
                    self.spend(len(pairs))
                    _put(made, (tuple(pair) for pair in pairs if len(pair) == 2))
            return made
        _check_harmless(name, arguments)
        return Built(name)

    def _stored(self, identity: Any) -> object:
        """A storage, from the five values that torch.save writes for it (formerly six).

        Formerly also a class, from four values: `module`, the class, and its source.
        """
        if identity[0] == "module":
            return identity[1]
        word, kind, key, _, count, *view = identity
        if word != "storage" or any(view):
            return Built(f"a {_text(word)} of torch")
        name = kind.text.rpartition(".")[2]
        if not isinstance(count, int) or count < 0:
            raise ValueError("a storage without a size")
        storage = Storage(name, _text(key), count)
        if self.storages.setdefault(storage.key, storage).kind != name:
            raise ValueError("a storage of two different types")
        return storage


_VALUES = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE"),
    *("BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}

_FRESH: dict[str, Callable[[], object]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_SET": list,
    "EMPTY_TUPLE": tuple,
}
_STEPS: dict[str, Callable[[_Machine, Any], object]] = {
    **dict.fromkeys(("PROTO", "FRAME"), lambda m, _: None),
    "MARK": lambda m, _: m.marks.append(len(m.stack)),
    "POP": lambda m, _: m.stack.pop(),
    "POP_MARK": lambda m, _: m.since_mark(),
    "DUP": lambda m, _: m.stack.append(m.stack[-1]),
    **dict.fromkeys(
        ("PUT", "BINPUT", "LONG_BINPUT"), lambda m, place: m.memo.update({place: m.stack[-1]})
    ),
    "MEMOIZE": lambda m, _: m.memo.update({len(m.memo): m.stack[-1]}),
    **dict.fromkeys(
        ("GET", "BINGET", "LONG_BINGET"), lambda m, place: m.stack.append(m.memo[place])
    ),
    "TUPLE1": lambda m, _: m.stack.append(tuple(m.last(1))),
    "TUPLE2": lambda m, _: m.stack.append(tuple(m.last(2))),
    "TUPLE3": lambda m, _: m.stack.append(tuple(m.last(3))),
    "TUPLE": lambda m, _: m.stack.append(tuple(m.since_mark())),
    **dict.fromkeys(("LIST", "FROZENSET"), lambda m, _: m.stack.append(m.since_mark())),
    "APPEND": lambda m, _: m.add(m.last(1)),
    **dict.fromkeys(("APPENDS", "ADDITEMS"), lambda m, _: m.add(m.since_mark())),
    "SETITEM": lambda m, _: m.set(m.last(2)),
    "SETITEMS": lambda m, _: m.set(m.since_mark()),
    # Attributes, which dictionaries of weights may also have.
    "BUILD": lambda m, _: m.stack.pop(),
    "GLOBAL": lambda m, text: m.stack.append(_named(*text.split(" ", 1))),
    "STACK_GLOBAL": lambda m, _: m.stack.append(_named(*m.last(2))),
    **dict.fromkeys(("REDUCE", "NEWOBJ"), lambda m, _: m.call(*m.last(2))),
    "NEWOBJ_EX": lambda m, _: m.call(*m.last(3)[:2]),
    "INST": lambda m, text: m.call(_named(*text.split(" ", 1)), tuple(m.since_mark())),
    "OBJ": lambda m, _: m.call_since_mark(),
    "BINPERSID": lambda m, _: m.store(m.stack.pop()),
}


def _put(target: object, items: Iterator[tuple[Any, ...]]) -> None:
    if isinstance(target, dict):
        # Other keys are not names of weights, and hashing them may take forever.
        target.update((key, value) for key, value in items if isinstance(key, str | int))


def _named(module: object, name: object) -> Name:
    text = f"{_text(module)}.{_text(name)}"
    return Name(text.replace("__builtin__.", "builtins.", 1))


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > _MOST_NAME:
        raise Strange("contains a call without a valid name")
    return value


def _array(storage: Any, offset: Any, shape: Any, strides: Any) -> object:
    if not isinstance(storage, Storage):
        return Built("an array that refers to no storage")
    numbers = (offset, *shape, *strides)
    proper = all(type(number) is int and number >= 0 for number in numbers)
    if not proper or len(shape) != len(strides) or len(shape) > _MOST_AXES:
        raise ValueError("an array without a shape")
    return Array(storage, offset, tuple(shape), tuple(strides))


def _check_harmless(name: str, arguments: Any) -> None:
    """Refuse functions of Python's standard library that do anything. Others are only named."""
    module, _, what = name.partition(".")
    if module == "builtins":
        harmless = isinstance(getattr(builtins, what, None), type) and what != "bytearray"
    elif module == "_codecs":  # old protocols write bytes like this
        harmless = what == "encode" and arguments[1:] in (("latin1",), ("latin-1",))
    else:
        harmless = module not in sys.stdlib_module_names or module in _DATA
    if not harmless:
        raise Strange(f"contains {name}, which weights never need; nothing in it was run")
