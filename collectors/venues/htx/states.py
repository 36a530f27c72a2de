"""Forced orders, funding, open interest, mark and index prices of HTX contracts as they land.

Put here: what those rows mean. Keep out: trades, books, routing (`session`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite

from collectors.errors import FrameError
from collectors.feeds import event_time
from collectors.rows import RowWriter
from collectors.venue import Instrument
from collectors.venues.htx import messages as wire
from collectors.venues.htx.instruments import contract_of
from collectors.venues.htx.messages import EXCHANGE
from lake.dollars import in_dollars

Carry = Callable[[str, int], None]
"""Called with a symbol and a local time (microseconds) when its derivatives are delivered."""


class States:
    """The rows of one socket. `find` gives the instrument of a native id, None where it is not wanted."""

    def __init__(self, writer: RowWriter, *, find: Callable[[str], Instrument | None], carry: Carry) -> None:
        self._writer = writer
        self._find = find
        self._carry = carry

    def liquidations(self, rows: Sequence[wire.Liquidation], received: int | None) -> bool:
        """Land forced orders; True when one of them is wanted."""
        wanted = [(row, found) for row in rows if (found := self._find(row.contract_code)) is not None]
        for row, instrument in wanted:
            self._liquidation(row, instrument, received)
        return bool(wanted)

    def funding(self, rows: Sequence[wire.Funding], *, time: int | None, received: int | None) -> bool:
        """Land funding rates; True when one of them is wanted."""
        taken = False
        for row in rows:
            instrument = self._find(row.contract_code)
            if instrument is None or row.funding_rate is None:
                continue
            taken = True
            upcoming = [event_time(EXCHANGE, each) for each in (row.settlement_time, row.next_funding_time, row.funding_time) if each]
            self._state(
                instrument, "funding", time=time, received=received, rate=row.funding_rate, next_funding=upcoming[0] if upcoming else None
            )
        return taken

    def open_interest(self, rows: Sequence[wire.OpenInterest], *, time: int | None, received: int | None) -> bool:
        """Land open interest, base units; True when one of them is wanted."""
        taken = False
        for row in rows:
            instrument = self._find(row.contract_code)
            if instrument is None:
                continue
            amount = row.amount
            if amount is None and row.volume is not None and not instrument.inverse:
                amount = contract_of(instrument).base(row.volume, 1.0)
            if amount is not None:
                taken = True
                self._state(instrument, "interest", time=time, received=received, interest=amount)
        return taken

    def price(self, native: str, kind: str, value: float | None, *, time: int | None, received: int | None) -> bool:
        """Land a mark or an index price; False when it is not wanted."""
        instrument = self._find(native)
        if instrument is None or value is None:
            return False
        if not 0 < value < float("inf"):
            raise FrameError(EXCHANGE, f"{kind} price of {native} is {value}, expected one above 0")
        mark, index = (value, None) if kind == "mark" else (None, value)
        self._state(instrument, kind, time=time, received=received, mark=mark, index=index)
        return True

    def _state(
        self,
        instrument: Instrument,
        kind: str,
        *,
        time: int | None,
        received: int | None,
        rate: float | None = None,
        next_funding: int | None = None,
        interest: float | None = None,
        mark: float | None = None,
        index: float | None = None,
    ) -> None:
        when = time if time is not None else received
        if when is None:
            raise FrameError(EXCHANGE, f"{kind} of {instrument.native} has neither a time of its own nor a receive time")
        local = received if received is not None else when
        continuity, symbol = self._writer.continuity, instrument.symbol
        self._carry(symbol, local)
        if not continuity.recent("derivatives").add((symbol, kind, when, rate, interest, mark, index)):
            self._writer.duplicate("derivatives")
            return
        continuity.latest[symbol] = when
        self._writer.derivative(
            symbol,
            when,
            local=local,
            funding_rate=rate,
            next_funding=next_funding,
            open_interest=interest,
            mark_price=mark,
            index_price=index,
        )

    def _liquidation(self, row: wire.Liquidation, instrument: Instrument, received: int | None) -> None:
        """The side is the order's. The price may be 0 (not stated); the turnover then tells it."""
        side, time = row.direction.lower(), event_time(EXCHANGE, row.created_at)
        amount = self._base(row, instrument)
        if side not in ("buy", "sell") or not isfinite(row.price) or row.price < 0 or amount is None or not 0 < amount < float("inf"):
            raise FrameError(EXCHANGE, f"forced order has side {row.direction!r}, price {row.price}, volume {row.volume}")
        turnover = row.trade_turnover
        price = row.price if row.price > 0 or not turnover else turnover / amount
        natural = f"{row.created_at}-{side}-{row.volume!r}-{row.price!r}"
        symbol, continuity = instrument.symbol, self._writer.continuity
        if not continuity.recent("liquidations").add((symbol, natural)):
            self._writer.duplicate("liquidations")
            return
        continuity.latest[symbol] = time
        self._writer.liquidation(
            symbol,
            time,
            local=received if received is not None else time,
            side=side,
            price=price,
            amount=amount,
            value_usd=(turnover or price * amount or None) if in_dollars(symbol) else None,
            liquidation_id=natural,
            sampled=None,
        )

    def _base(self, row: wire.Liquidation, instrument: Instrument) -> float | None:
        """Base units: as sent, unless that repeats the contracts (REST v5 does); else of the contract's size."""
        if row.amount and (row.amount != row.volume or instrument.contract_size == 1.0):
            return row.amount
        if not instrument.inverse and row.trade_turnover and row.price > 0:
            return row.trade_turnover / row.price
        if instrument.inverse and row.price <= 0:
            return None
        return contract_of(instrument).base(row.volume, row.price or 1.0)
