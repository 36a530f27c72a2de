"""What a channel is given to send: one message, plain and ready, of one alert or of many.

Put here: the message and its texts. Keep out: which alerts become one message (`outbox`), and how a channel lays it out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

SEVERITIES: Final = ("LOW", "MEDIUM", "HIGH", "CRITICAL")
"""From least to most grave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message. `id` is the same in every try; `at` is the instant the first of its alerts fired, aware.

    `retry` says that the same message may have arrived before. `alerts` is how many alerts it speaks of.
    """

    id: str
    title: str
    severity: str
    text: str
    at: datetime
    fields: tuple[tuple[str, str], ...] = ()
    alerts: int = 1
    retry: bool = False

    def repeated(self) -> Message:
        """The same message, marked as one that may have arrived before."""
        return replace(self, retry=True)

    @property
    def heading(self) -> str:
        """Title with severity, and the mark of a repeat in front."""
        return f"{'[retry] ' if self.retry else ''}{self.severity}: {self.title}"

    @property
    def plain(self) -> str:
        """Everything but the heading as lines of plain text."""
        lines = [self.text, *(f"{name}: {value}" for name, value in self.fields)]
        return "\n".join([*lines, f"{self.at:%Y-%m-%d %H:%M:%S} UTC · {self.footer}"])

    @property
    def footer(self) -> str:
        """What names the message in every try: its id, and how many alerts it holds."""
        return f"{self.id} · {self.alerts:,} alerts" if self.alerts != 1 else self.id
