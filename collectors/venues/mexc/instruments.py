"""MEXC's names and instrument lists: BTCUSDT is spot, BTC_USDT a perpetual (or spot before 2023).

Put here: naming and lists. Keep out: streams and books.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from collectors.errors import FrameError
from collectors.symbols import split_native
from collectors.venue import HttpGet, Instrument
from collectors.venues.mexc import messages as wire
from collectors.venues.mexc.messages import EXCHANGE

SIZES: Final[Mapping[str, float]] = {"BTC_USDT": 0.0001, "ETH_USDT": 0.01, "BTC_USD": 100.0, "ETH_USD": 10.0}
"""Contract sizes for recordings without a list: base units, dollars of those settled in their base."""


class Names:
    """Instruments by native id, of lists, or read off the id."""

    def __init__(self, instruments: Iterable[Instrument] = ()) -> None:
        self._known: dict[str, Instrument] = {}
        self.learn(instruments)

    def learn(self, instruments: Iterable[Instrument]) -> None:
        """Take a list; it rules from now on."""
        self._known.update({each.native: each for each in instruments})

    def find(self, native: str) -> Instrument | None:
        """The instrument of a native id.

        A perpetual in no list takes its size from the table above; where that has none the size stays 1, so that its amounts are in
        contracts until a list is met.
        """
        known = self._known.get(native)
        if known is None:
            known = self._known[native] = _perpetual(native) if "_" in native else spot(native)
        return known


def spot(native: str) -> Instrument:
    """A spot pair read off its id: BTCUSDT, or BTC_USDT as it was spelled before 2023."""
    base, line, quote = native.partition("_")
    if not line:
        base, quote = split_native(native)
    return Instrument(exchange=EXCHANGE, symbol=f"{base}/{quote}" if quote else base, native=native, market="spot", base=base, quote=quote)


def _perpetual(native: str) -> Instrument:
    base, _, quote = native.partition("_")
    settle = base if quote == "USD" else quote
    return perpetual(native, base, quote, settle=settle, size=SIZES.get(native, 1.0))


def perpetual(
    native: str, base: str, quote: str, *, settle: str, size: float, tick: float | None = None, lot: float = 1.0, active: bool = True
) -> Instrument:
    """A perpetual; one settled in its base is worth `size` units of its quote."""
    return Instrument(
        exchange=EXCHANGE,
        symbol=f"{base}/{quote}:{settle}",
        native=native,
        market="perp",
        base=base,
        quote=quote,
        settle=settle,
        tick_size=tick,
        lot_size=lot * size,
        contract_size=size,
        inverse=settle != quote and settle == base,
        active=active,
    )


def instrument_requests(endpoints: Mapping[str, str], markets: Sequence[str]) -> list[HttpGet]:
    """One request for each market."""
    urls = {"spot": f"{endpoints['spot_rest']}/api/v3/exchangeInfo", "perp": f"{endpoints['perp_rest']}/api/v1/contract/detail"}
    weights = {"spot": 10, "perp": 1}
    return [HttpGet(url=urls[market], purpose="instruments", symbol=market, weight=weights[market]) for market in markets]


def parse_instruments(body: bytes, *, market: str) -> list[Instrument]:
    """Instruments of an exchangeInfo or a contract list; raises `FrameError` when it is neither."""
    try:
        if market == "spot":
            return [_listed(row) for row in wire.decode_exchange_info(body).symbols]
        answer = wire.decode_envelope(body)
        if answer.success is not True:
            raise FrameError(EXCHANGE, f"contract list has success {answer.success}, expected true")
        rows = wire.decode_contracts(answer.data) if bytes(answer.data)[:1] == b"[" else [wire.decode_contract(answer.data)]
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise FrameError(EXCHANGE, f"instrument list: {error}") from error
    return [
        perpetual(
            row.symbol,
            row.baseCoin,
            row.quoteCoin,
            settle=row.settleCoin,
            size=row.contractSize,
            tick=row.priceUnit,
            lot=row.volUnit or 1.0,
            active=row.state == 0,
        )
        for row in rows
    ]


def _listed(row: wire.SpotSymbol) -> Instrument:
    prices, amounts = row.quoteAssetPrecision, row.baseAssetPrecision
    return Instrument(
        exchange=EXCHANGE,
        symbol=f"{row.baseAsset}/{row.quoteAsset}",
        native=row.symbol,
        market="spot",
        base=row.baseAsset,
        quote=row.quoteAsset,
        tick_size=None if prices is None else 10.0**-prices,
        lot_size=float(row.baseSizePrecision or 0) or (None if amounts is None else 10.0**-amounts),
        price_decimals=prices,
        amount_decimals=amounts,
        active=row.status in ("1", "ENABLED"),
    )
