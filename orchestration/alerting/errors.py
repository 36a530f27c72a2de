"""Every error of delivery, as one tree; the message of each is one sentence and never holds a secret.

AlertingError (an OrchestrationError)
├── ChannelMisconfigured   an address that no channel can use
└── ChannelError           a message that a channel did not take
    ├── ChannelRefused     it will not take it later either
    ├── ChannelBusy        it asks to wait
    ├── ChannelUnavailable it took nothing, and may later
    └── ChannelUncertain   it gave no answer, or a failing one: the message may have arrived

`delivering.deliver` decides by the leaf whether to try again, and whether the next try is marked as a repeat.
"""

from __future__ import annotations

from typing import Final

from orchestration.errors import OrchestrationError


class AlertingError(OrchestrationError):
    """Root of everything delivery raises."""


class ChannelMisconfigured(AlertingError):
    """An address in the settings that no channel can use; it is not repeated, for it may hold a token."""

    def __init__(self, *, setting: str, expected: str) -> None:
        self.setting = setting
        super().__init__(f"setting {setting} has a value that names no channel, expected {expected}")


class ChannelError(AlertingError):
    """A message that a channel did not take; `reason` is one clause without a secret."""

    transient: Final[bool]
    may_have_arrived: Final[bool]

    def __init__(self, channel: str, reason: str, *, transient: bool, may_have_arrived: bool) -> None:
        self.channel = channel
        self.reason = reason
        self.transient = transient
        self.may_have_arrived = may_have_arrived
        super().__init__(f"channel {channel} did not take the message: {reason}")


class ChannelRefused(ChannelError):
    """The channel will not take the message later either: its address is gone, or it finds the message wrong."""

    def __init__(self, channel: str, reason: str) -> None:
        super().__init__(channel, reason, transient=False, may_have_arrived=False)


class ChannelBusy(ChannelError):
    """The channel asks to wait `seconds`."""

    def __init__(self, channel: str, *, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(channel, f"it asks to wait {seconds:g} s", transient=True, may_have_arrived=False)


class ChannelUnavailable(ChannelError):
    """The channel could not be reached: nothing was sent."""

    def __init__(self, channel: str, reason: str) -> None:
        super().__init__(channel, reason, transient=True, may_have_arrived=False)


class ChannelUncertain(ChannelError):
    """The channel gave no answer, or a failing one, after the message had left: it may have arrived."""

    def __init__(self, channel: str, reason: str) -> None:
        super().__init__(channel, reason, transient=True, may_have_arrived=True)
