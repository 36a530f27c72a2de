"""Bitget v1 frames (`instType` sp or mc), in recordings of 2022 and 2023, retired since.

Put here: what differs from v2: trades are rows without an id, tickers have other names, futures of all kinds share one type.
Keep out: v2. Books are those of v2 with a checksum on every frame and no sequence.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import msgspec
from msgspec import Struct

from collectors.errors import FrameError
from collectors.feeds import event_time
from collectors.venue import Outcome
from collectors.venues.bitget import messages as wire
from collectors.venues.bitget.instruments import futures_market
from collectors.venues.bitget.messages import EXCHANGE
from collectors.venues.bitget.session import BOOKS, BitgetSession, Row

TYPES: Final = ("sp", "mc")

TradeRow = tuple[str, str, str, str]
"""(milliseconds, price, amount, side of the taker), newest first where history is sent."""


class Ticker(Struct, frozen=True, gc=False):
    """`ticker` of futures."""

    systemTime: int | None = None  # noqa: N815 - the venue's name
    capitalRate: str = ""  # noqa: N815 - the venue's name
    nextSettleTime: str | int = ""  # noqa: N815 - the venue's name
    markPrice: str = ""  # noqa: N815 - the venue's name
    indexPrice: str = ""  # noqa: N815 - the venue's name
    holding: str = ""


def _decoder(type_: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(type_, strict=False)


_rows = _decoder(list[TradeRow]).decode
_tickers = _decoder(list[Ticker]).decode


class Occurrences:
    """Gives trades without an id one: what is known of a trade, and which of its likes it is.

    Likes are counted within a frame of history, and from frame to frame afterwards, so that two equal trades of one millisecond
    are two, and a trade that history and stream both hold is one.
    """

    def __init__(self) -> None:
        self._latest: dict[str, int] = {}
        self._counts: dict[str, Counter[TradeRow]] = {}

    def named(self, symbol: str, rows: list[TradeRow], *, history: bool) -> list[Row]:
        """Rows with ids."""
        try:
            if history:
                return _numbered(rows, Counter())
            newest = max((int(row[0]) for row in rows), default=0)
            if newest > self._latest.get(symbol, -1):
                self._latest[symbol] = newest
                former = self._counts.get(symbol, Counter())
                # A minute is ample: later frames do not repeat older milliseconds.
                self._counts[symbol] = Counter({row: count for row, count in former.items() if int(row[0]) > newest - 60_000})
            return _numbered(rows, self._counts.setdefault(symbol, Counter()))
        except ValueError as error:
            raise FrameError(EXCHANGE, f"a trade of {symbol} holds no numbers: {error}") from error


def take(session: BitgetSession, occurrences: Occurrences, envelope: wire.Envelope, received: int | None) -> Outcome:
    """Take one v1 frame; raises `FrameError` when it cannot be decoded."""
    arg = envelope.arg
    assert arg is not None
    native = arg.instId
    market = "spot" if arg.instType.lower() == "sp" else futures_market(native)
    data = wire.listed(envelope.data)
    try:
        if arg.channel in BOOKS:
            rows = wire.decode_books(data)
            return session.take_books(market, native, rows, channel=arg.channel, update=envelope.action == "update", received=received)
        symbol = session.names.symbol(market, native)
        if arg.channel == "trade":
            history = envelope.action == "snapshot"
            trades = occurrences.named(symbol, _rows(data), history=history)
            session.take_trades(symbol, trades, received=received, first=history)
            return Outcome.DECODED
        if arg.channel == "ticker" and market != "spot":
            for row in _tickers(data):
                session.take_state(
                    symbol,
                    received if row.systemTime is None else event_time(EXCHANGE, row.systemTime),
                    received,
                    rate=row.capitalRate,
                    settles=str(row.nextSettleTime),
                    open_interest=row.holding,
                    mark=row.markPrice,
                    index=row.indexPrice,
                )
            return Outcome.DECODED
    except msgspec.MsgspecError as error:
        raise FrameError(EXCHANGE, f"v1 {arg.channel}: {error}") from error
    return Outcome.IGNORED


def _numbered(rows: list[TradeRow], counts: Counter[TradeRow]) -> list[Row]:
    found: list[Row] = []
    for row in rows:
        counts[row] += 1
        milliseconds, price, amount, side = row
        identity = f"{milliseconds}-{price}-{amount}-{side}-{counts[row]}"
        found.append((identity, int(milliseconds), side, float(price), float(amount)))
    return found
