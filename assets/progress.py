"""How far a run has come: whoever runs one in this process may listen to each partition that is done.

Put here: telling and listening. Keep out: showing it (`orchestration.cli`).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

Listener = Callable[[str, str], None]
"""Takes the name of an asset and the key of a partition of it that is done, well or not."""

_LISTENER: Final[ContextVar[Listener | None]] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener | None) -> Iterator[None]:
    """Within the block, `listener` hears of every partition that this thread makes."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def done(asset: str, key: str) -> None:
    """Tell the listener, if there is one."""
    listener = _LISTENER.get()
    if listener is not None:
        listener(asset, key)
