"""Kraken Futures' products: what an id like PI_XBTUSD says, the instrument list, contracts to base units.

Put here: naming and units. Keep out: streams and books.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import msgspec

from collectors.contracts import Contract
from collectors.errors import FrameError
from collectors.venue import HttpGet, Instrument
from collectors.venues.kraken.futures_messages import Listed, decode_instruments
from collectors.venues.kraken.instruments import RENAMED
from collectors.venues.kraken.messages import EXCHANGE

INSTRUMENTS_PATH: Final = "/derivatives/api/v3/instruments"
INVERSE: Final = frozenset({"PI", "FI"})
"""Quantities in contracts of one dollar, settled in the base."""
LINEAR: Final = frozenset({"PF", "FF", "PV", "FV"})
"""Quantities in base units, settled in the quote."""
_QUOTES: Final = ("USDT", "USDC", "USD", "EUR", "GBP", "XBT", "BTC")


@dataclass(frozen=True, slots=True)
class Product:
    """One product by its id."""

    native: str
    symbol: str
    base: str
    quote: str
    settle: str
    contract: Contract

    @property
    def perpetual(self) -> bool:
        """True where it never expires and is funded."""
        return self.native.startswith("P")


@lru_cache(maxsize=4096)
def product_of(native: str) -> Product | None:
    """The product of an id in either case, None for an index: PF_XBTUSD is BTC/USD:USD, FI_XBTUSD_210924 is BTC/USD:BTC-210924."""
    native = native.upper()
    prefix, _, rest = native.partition("_")
    pair, _, expiry = rest.partition("_")
    quote = next((quote for quote in _QUOTES if pair.endswith(quote) and len(pair) > len(quote)), None)
    if quote is None or prefix not in INVERSE | LINEAR:
        return None
    base = pair[: -len(quote)]
    base, quote = RENAMED.get(base, base), RENAMED.get(quote, quote)
    inverse = prefix in INVERSE
    settle = base if inverse else quote
    symbol = f"{base}/{quote}:{settle}" + (f"-{expiry}" if expiry else "")
    return Product(native, symbol, base, quote, settle, Contract(inverse=inverse))


def instrument_request(endpoints: Mapping[str, str]) -> HttpGet:
    """One request lists every product."""
    return HttpGet(url=f"{endpoints['futures_rest']}{INSTRUMENTS_PATH}", purpose="instruments", symbol="futures")


def parse_instruments(body: bytes) -> list[Instrument]:
    """Instruments of an answer; raises `FrameError` when it is none. Indices are left out, and a contract of a size nobody has seen yet."""
    try:
        answer = decode_instruments(body)
    except msgspec.MsgspecError as error:
        raise FrameError(EXCHANGE, f"instrument list: {error}") from error
    if answer.result != "success" or answer.instruments is None:
        raise FrameError(EXCHANGE, f"instrument list has result {answer.result!r}, expected success")
    found = [(listed, product_of(listed.symbol)) for listed in answer.instruments if listed.contract_size in (None, 1.0)]
    return [_instrument(listed, product) for listed, product in found if product is not None]


def _instrument(listed: Listed, product: Product) -> Instrument:
    return Instrument(
        exchange=EXCHANGE,
        symbol=product.symbol,
        native=product.native,
        market="futures",
        base=product.base,
        quote=product.quote,
        settle=product.settle,
        tick_size=listed.tick_size,
        lot_size=None if listed.precision is None else 10.0**-listed.precision,
        inverse=product.contract.inverse,
        amount_decimals=listed.precision,
        active=listed.tradeable,
    )
