"""Offering one message to one channel, again and again where that may help.

Put here: how often, how long to wait, and what came of it. Keep out: which message (`outbox`) and what is written down (`ledger`).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from orchestration.alerting.channels import Channel
from orchestration.alerting.errors import ChannelBusy, ChannelError
from orchestration.alerting.messages import Message

FIRST_WAIT_SECONDS: Final = 0.5

State = Literal["sent", "failed", "uncertain", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a message: `tries` were made, the last one marked as a repeat or not; `reason` is empty when it was sent.

    `failed`: not taken, may be later. `uncertain`: may have arrived. `refused`: will not be taken.
    """

    state: State
    tries: int
    marked: bool
    reason: str = ""


def offer(
    channel: Channel, message: Message, *, attempts: int, longest_wait: float, sleep: Callable[[float], None] = time.sleep
) -> Outcome:
    """Offer it at most `attempts` times. A try after one that may have arrived is marked as a repeat."""
    may_have_arrived = False
    for number in range(1, attempts + 1):
        try:
            channel.send(message)
        except ChannelError as error:
            may_have_arrived = may_have_arrived or error.may_have_arrived
            wait = error.seconds if isinstance(error, ChannelBusy) else _backoff(number)
            if error.transient and number < attempts and wait <= longest_wait:
                message = message.repeated() if may_have_arrived else message
                sleep(wait)
                continue
            return Outcome(state=_state(error, may_have_arrived=may_have_arrived), tries=number, marked=message.retry, reason=error.reason)
        else:
            return Outcome(state="sent", tries=number, marked=message.retry)
    raise AssertionError("unreachable: the last attempt returns")


def _state(error: ChannelError, *, may_have_arrived: bool) -> State:
    if not error.transient:
        return "refused"
    return "uncertain" if may_have_arrived else "failed"


def _backoff(number: int) -> float:
    """Before the next try: twice as long each time, and up to a quarter more, so that what failed together does not come back together."""
    return FIRST_WAIT_SECONDS * 2.0 ** (number - 1) * (1 + random.random() / 4)
