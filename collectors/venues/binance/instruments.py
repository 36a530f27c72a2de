"""Binance's instrument lists: which requests give them, and their rows as `Instrument`.

Put here: exchangeInfo. Keep out: streams and books.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from collectors.errors import FrameError
from collectors.venue import HttpGet, Instrument
from collectors.venues.binance.messages import SymbolInfo, decode_exchange_info

EXCHANGE: Final = "binance"
REST: Final = {"spot": ("spot_rest", "/api/v3", 20), "usdm": ("usdm_rest", "/fapi/v1", 1)}
"""By market: endpoint key, path prefix, weight of exchangeInfo."""
_PERPETUAL: Final = ("PERPETUAL", "TRADIFI_PERPETUAL")


def rest_url(endpoints: Mapping[str, str], market: str, path: str) -> str:
    """A REST address of a market; `path` begins after the version, e.g. /depth?symbol=BTCUSDT."""
    key, prefix, _ = REST[market]
    return f"{endpoints[key]}{prefix}{path}"


def instrument_requests(endpoints: Mapping[str, str], markets: Sequence[str]) -> list[HttpGet]:
    """One request for each market."""
    return [
        HttpGet(url=rest_url(endpoints, market, "/exchangeInfo"), purpose="instruments", symbol=market, weight=REST[market][2])
        for market in markets
    ]


def parse_exchange_info(body: bytes, *, market: str | None) -> list[Instrument]:
    """Instruments of an exchangeInfo answer; `market` is read off the answer where it is None. Raises `FrameError`."""
    try:
        symbols = decode_exchange_info(body).symbols
    except msgspec.MsgspecError as error:
        raise FrameError(EXCHANGE, f"instrument list: {error}") from error
    if market is None:
        market = "usdm" if any(info.contractType for info in symbols) else "spot"
    return [_instrument(info, market=market) for info in symbols]


def _instrument(info: SymbolInfo, *, market: str) -> Instrument:
    symbol = f"{info.baseAsset}/{info.quoteAsset}"
    if market == "usdm":
        symbol = f"{symbol}:{info.marginAsset}"
        if info.contractType not in _PERPETUAL and "_" in info.symbol:
            symbol = f"{symbol}-{info.symbol.partition('_')[2]}"
    steps = {found.filterType: found.tickSize or found.stepSize for found in info.filters}
    tick, lot = steps.get("PRICE_FILTER"), steps.get("LOT_SIZE")
    return Instrument(
        exchange=EXCHANGE,
        symbol=symbol,
        native=info.symbol,
        market=market,
        base=info.baseAsset,
        quote=info.quoteAsset,
        settle=info.marginAsset if market == "usdm" else None,
        tick_size=float(tick) if tick else None,
        lot_size=float(lot) if lot else None,
        price_decimals=_decimals(tick),
        amount_decimals=_decimals(lot),
        active=info.status == "TRADING",
    )


def _decimals(step: str | None) -> int | None:
    """Decimals a step allows: 2 for 0.01000000."""
    if not step:
        return None
    return len(step.rstrip("0").partition(".")[2])
