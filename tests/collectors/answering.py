"""What the tests of one venue's session ask of it, whichever venue: the commands and requests it wants sent, and the rows it made.

Put here: those questions. Keep out: what a venue says, which its own socket spells.
"""

from __future__ import annotations

import json
from typing import Any

from collectors.rows import EventBuffer
from collectors.venue import HttpGet, SendText


class Answering:
    """A session that is told frames by hand; subclasses make both."""

    session: Any
    events: EventBuffer

    def commands(self) -> list[dict[str, Any]]:
        """What it wants sent; whatever else it wants is forgotten."""
        found = [json.loads(action.text) for action in self.session.actions if isinstance(action, SendText)]
        self.session.actions.clear()
        return found

    def requests(self) -> list[HttpGet]:
        """What it wants fetched; whatever else it wants is forgotten."""
        found = [action for action in self.session.actions if isinstance(action, HttpGet)]
        self.session.actions.clear()
        return found

    def rows(self, dataset: str) -> list[dict[str, Any]]:
        """The rows of a dataset since the last question; those of others are forgotten."""
        drained = self.events.drain()
        return drained[dataset].to_pylist() if dataset in drained else []
