"""Checkpoints: all that the sessions of one exchange know at one instant, as bytes, and back again.

Put here: taking the image and restoring it. Keep out: when that happens (raw.py), files.

The image is a pickle of the sessions, what they share (continuity) and the numbers of their symbols. Handlers that sessions keep
are closures, which pickle cannot write: they are written as the place of their code and the values they closed over. Reading refuses
every class and function that is not ours but a handful of plain containers, so a foreign file brings no code with it. Books
stand in the image once more as plain levels, for readers of other programs.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import io
import pickle
import types
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec

from collectors.continuity import Continuity
from collectors.errors import RecordingError
from collectors.feeds import BookFeed
from collectors.logs import logger
from collectors.rows import EventBuffer, RowWriter
from collectors.venue import Session

Levels = list[tuple[float, float]]

_PLAIN: Final = {
    "builtins": {"set", "frozenset", "bytearray", "object"},
    "collections": {"deque", "OrderedDict", "defaultdict", "Counter"},
    "functools": {"partial"},
    "copyreg": {"_reconstructor"},
    "datetime": {"datetime", "date", "timedelta", "timezone"},
    "decimal": {"Decimal"},
    "msgspec._utils": {"rebuild"},
    "types": {"CellType"},
}
"""What may stand in an image besides classes and functions of our own."""
_PACKAGES: Final = ("collectors", "lake")


class BookImage(msgspec.Struct, frozen=True):
    """One book as it lands: all levels best first, base units, and the venue's sequence where it has one."""

    bids: Levels
    asks: Levels
    sequence: int | None = None


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """State of one exchange at one instant. `links` names the sockets that stood; `code` tells which code `state` belongs to."""

    links: list[str] = msgspec.field(default_factory=list)
    books: dict[str, BookImage] = msgspec.field(default_factory=dict)
    symbols: list[tuple[str, str]] = msgspec.field(default_factory=list)
    state: bytes = b""
    code: str = ""


def take(exchange: str, events: EventBuffer, sessions: Mapping[str, Session]) -> Image:
    """The state of an exchange: `sessions` by the name of their link, and what they share. Its books are still to be written out."""
    out = io.BytesIO()
    _Pickler(out, protocol=5).dump((vars(events.continuity(exchange)), dict(sessions)))
    return Image(links=list(sessions), symbols=events.symbols, state=out.getvalue(), code=code_mark())


def with_books(image: Image, exchange: str) -> Image:
    """The image with its books as plain levels, read off the state: what is written has been restored once.

    Sorting 300 books of 2,000 levels takes 0.15 s, so this is for the writer's thread. Raises as `restore`.
    """
    events = EventBuffer()
    restore(image, exchange, events)
    books = {
        symbol: BookImage(*feed.book.levels(), feed.sequence)
        for symbol, feed in events.continuity(exchange).books.items()
        if isinstance(feed, BookFeed) and feed.lands
    }
    return msgspec.structs.replace(image, books=books)


def restore(image: Image, exchange: str, events: EventBuffer) -> dict[str, Session]:
    """Put the state of `image` into a fresh buffer; the sessions by the name of their link.

    Raises `RecordingError` when the state cannot be read, as when it was written by other code.
    """
    for name, symbol in image.symbols:
        events.key(name, symbol)
    if not image.state:
        return {}
    try:
        shared, sessions = _Unpickler(io.BytesIO(image.state), exchange, events).load()
    except (pickle.UnpicklingError, AttributeError, ImportError, LookupError, TypeError, ValueError, EOFError) as error:
        who = "this" if image.code == code_mark() else "another"
        raise RecordingError(
            f"checkpoint of {exchange}, written by {who} version of the code, cannot be restored ({error}), expected its sessions"
        ) from error
    vars(events.continuity(exchange)).update(shared)
    found: dict[str, Session] = sessions
    return found


@cache
def code_mark() -> str:
    """A digest of this package's source: images of the same mark are restored exactly."""
    digest = hashlib.sha256()
    root = Path(__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def external(kind: str, *names: str) -> object:
    """Stands in a pickle for what is not part of the state: the buffer, a writer, the continuity, a logger."""
    raise pickle.UnpicklingError(f"{kind} {names} is known to the reader of a checkpoint only")


def bare_function(module: str, qualname: str, line: int, cells: int) -> Callable[..., Any]:
    """A function of this package by the place of its code, its closure still empty."""
    place = importlib.import_module(_own(module))
    outer, *inner = qualname.split(".<locals>.")
    found: Any = place
    for name in outer.split("."):
        found = inspect.getattr_static(found, name) if inspect.isclass(found) else getattr(found, name)
    if not inner:
        return _unwrapped(found)
    codes = [code for code in _codes(_unwrapped(found).__code__) if code.co_qualname == qualname]
    code = next((each for each in codes if each.co_firstlineno == line), codes[0] if len(codes) == 1 else None)
    if code is None or len(code.co_freevars) != cells:
        raise pickle.UnpicklingError(f"function {qualname} of {module} is no longer what it was")
    return types.FunctionType(code, vars(place), code.co_name, None, tuple(types.CellType() for _ in range(cells)))


def bound_method(owner: object, name: str) -> Any:
    """A method of an object of the state, or of one of its containers."""
    if name.startswith("__") or isinstance(owner, (types.ModuleType, type, types.FunctionType)):
        raise pickle.UnpicklingError(f"checkpoint names {name!r} of a {type(owner).__name__}, expected a method of an object")
    return getattr(owner, name)


def same(obj: object) -> object:
    """What stands for another object in an image."""
    return obj


def fill_function(function: types.FunctionType, state: tuple[Any, Any, list[tuple[Any, ...]]]) -> None:
    """Give a function of `bare_function` its defaults and what it closed over."""
    function.__defaults__, function.__kwdefaults__, contents = state
    for cell, content in zip(function.__closure__ or (), contents, strict=True):
        if content:
            cell.cell_contents = content[0]


class _Pickler(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, RowWriter):
            return external, ("writer", obj.connection)
        if isinstance(obj, EventBuffer):
            return external, ("events",)
        if isinstance(obj, Continuity):
            return external, ("continuity",)
        if type(obj).__module__.partition(".")[0] == "structlog":
            return external, ("logger",)
        if isinstance(obj, (types.MethodType, types.BuiltinMethodType)) and not isinstance(obj.__self__, (types.ModuleType, type)):
            return bound_method, (obj.__self__, obj.__name__)
        if isinstance(obj, types.FunctionType) and "<locals>" in obj.__qualname__:
            closure = obj.__closure__ or ()
            place = (obj.__module__, obj.__qualname__, obj.__code__.co_firstlineno, len(closure))
            state = (obj.__defaults__, obj.__kwdefaults__, [_content(cell) for cell in closure])
            return bare_function, place, state, None, None, fill_function
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, exchange: str, events: EventBuffer) -> None:
        super().__init__(file)
        self._exchange = exchange
        self._events = events

    def find_class(self, module: str, name: str, /) -> Any:
        if (module, name) == (__name__, external.__name__):
            return self._external
        if name in _PLAIN.get(module, ()):
            return super().find_class(module, name)
        found = super().find_class(_own(module), name)
        if not isinstance(found, (type, types.FunctionType)):
            raise pickle.UnpicklingError(f"checkpoint names {module}.{name}, expected a class or a function")
        _own(found.__module__)
        return found

    def _external(self, kind: str, *names: str) -> object:
        match kind:
            case "writer":
                return self._events.writer(self._exchange, *names)
            case "events":
                return self._events
            case "continuity":
                return self._events.continuity(self._exchange)
            case _:
                return logger(exchange=self._exchange)


def _own(module: str) -> str:
    if module.partition(".")[0] not in _PACKAGES:
        raise pickle.UnpicklingError(f"checkpoint names module {module}, expected one of {', '.join(_PACKAGES)}")
    return module


def _content(cell: types.CellType) -> tuple[Any, ...]:
    try:
        return (cell.cell_contents,)
    except ValueError:  # not bound yet
        return ()


def _unwrapped(found: Any) -> types.FunctionType:
    if isinstance(found, (staticmethod, classmethod)):
        found = found.__func__
    if isinstance(found, property):
        found = found.fget
    function = inspect.unwrap(found)
    if not isinstance(function, types.FunctionType):
        raise pickle.UnpicklingError(f"{found!r} is no function")
    return function


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    for each in code.co_consts:
        if isinstance(each, types.CodeType):
            yield each
            yield from _codes(each)
