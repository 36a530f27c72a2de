"""Slack, Telegram, e-mail and whatever else Apprise reaches, by its addresses.

Put here: the meeting with Apprise, which is imported when the first such channel is made. Keep out: trying again (`offering`).
"""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Final

from orchestration.alerting.channels import Redactor
from orchestration.alerting.errors import ChannelMisconfigured, ChannelUncertain
from orchestration.alerting.messages import Message

if TYPE_CHECKING:
    from apprise import Apprise, NotifyType

ALERT_URLS: Final = "TICKHOUSE_ALERT_URLS"


class RelayedChannel:
    """One address of Apprise, such as `slack://…`, `tgram://…` or `mailto://…`.

    Apprise says only whether the message went out: every failure counts as one after which it may have arrived.
    Raises `ChannelMisconfigured` for an address it does not know.
    """

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self._redact = Redactor([url])
        # Apprise logs addresses and payloads at debug, and at error the address it does not know.
        logging.getLogger("apprise").setLevel(logging.CRITICAL)
        found = _instance(url)
        if found is None:
            raise ChannelMisconfigured(setting=ALERT_URLS, expected=f"an address of Apprise where {name} stands, such as slack://A/B/C")
        self._apprise = found

    def __repr__(self) -> str:
        return f"RelayedChannel({self.name!r})"

    def close(self) -> None:
        """Apprise opens a connection for each message."""

    def send(self, message: Message) -> None:
        """Hand it over. Raises `ChannelUncertain`, with what Apprise logged as the reason."""
        import apprise

        with apprise.LogCapture(level=logging.WARNING, fmt="%(message)s") as said:  # type: ignore[no-untyped-call]
            taken = self._apprise.notify(
                title=message.heading, body=message.plain, notify_type=_type(message.severity), body_format=apprise.NotifyFormat.TEXT
            )
            words = " ".join(said.getvalue().split()) if said is not None else ""
        if not taken:
            raise ChannelUncertain(self.name, self._redact(words)[:200] or "Apprise could not send it")


def _instance(url: str) -> Apprise | None:
    """Apprise on one address; None where it does not know it."""
    with warnings.catch_warnings():
        # 2.2 imports imghdr with its services, which Python 3.11 deprecates and 3.13 no longer has.
        warnings.simplefilter("ignore", DeprecationWarning)
        import apprise

        made = apprise.Apprise()
        return made if made.add(url) else None


def _type(severity: str) -> NotifyType:
    from apprise import NotifyType

    return {"HIGH": NotifyType.WARNING, "CRITICAL": NotifyType.FAILURE}.get(severity, NotifyType.INFO)
