"""Kraken's instrument list and the names it uses: XBT and XDG on REST, BTC and DOGE on v2.

Put here: AssetPairs and naming. Keep out: streams and books.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from collectors.errors import FrameError
from collectors.venue import HttpGet, Instrument
from collectors.venues.kraken.messages import EXCHANGE, AssetPair, decode_asset_pairs

RENAMED: Final[Mapping[str, str]] = {"XBT": "BTC", "XDG": "DOGE"}
_FORMER: Final[Mapping[str, str]] = {new: old for old, new in RENAMED.items()}


def unified(wsname: str) -> str:
    """CCXT symbol of a name as REST and v1 write it: XBT/USD is BTC/USD."""
    base, _, quote = wsname.partition("/")
    return f"{RENAMED.get(base, base)}/{RENAMED.get(quote, quote)}"


def rest_pair(symbol: str) -> str:
    """The name REST takes for a symbol: BTC/USD is XBTUSD."""
    base, _, quote = symbol.partition("/")
    return f"{_FORMER.get(base, base)}{_FORMER.get(quote, quote)}"


def instrument_requests(endpoints: Mapping[str, str], markets: Sequence[str]) -> list[HttpGet]:
    """One request; there is one market."""
    if "spot" not in markets:
        return []
    return [HttpGet(url=f"{endpoints['spot_rest']}/0/public/AssetPairs", purpose="instruments", symbol="spot")]


def parse_asset_pairs(body: bytes) -> list[Instrument]:
    """Instruments of an AssetPairs answer; raises `FrameError` when it is none."""
    try:
        answer = decode_asset_pairs(body)
    except msgspec.MsgspecError as error:
        raise FrameError(EXCHANGE, f"instrument list: {error}") from error
    if answer.error or answer.result is None:
        raise FrameError(EXCHANGE, f"instrument list holds errors {answer.error}, expected a result")
    return [_instrument(pair) for key, pair in answer.result.items() if pair.wsname and ".d" not in key]


def _instrument(pair: AssetPair) -> Instrument:
    symbol = unified(pair.wsname)
    base, _, quote = symbol.partition("/")
    return Instrument(
        exchange=EXCHANGE,
        symbol=symbol,
        native=symbol,
        market="spot",
        base=base,
        quote=quote,
        tick_size=float(pair.tick_size) if pair.tick_size else None,
        lot_size=10.0**-pair.lot_decimals,
        price_decimals=pair.pair_decimals,
        amount_decimals=pair.lot_decimals,
        active=pair.status == "online",
    )
