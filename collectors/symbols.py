"""Native ids to CCXT unified symbols: the instrument list rules, a split by known quote assets stands in where there is none.

Put here: naming. Keep out: fetching lists, venue formats.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from collectors.venue import Instrument

QUOTES: Final = (
    *("FDUSD", "USDT", "USDC", "BUSD", "TUSD", "USDP", "USDS", "USD1", "USDE", "BKRW", "BIDR", "IDRT", "BVND", "DOGE", "AEUR", "EURI"),
    *("BTC", "ETH", "BNB", "XRP", "TRX", "DAI", "VAI", "EUR", "GBP", "AUD", "USD", "TRY", "BRL", "RUB", "NGN", "UAH", "ZAR", "PLN"),
    *("RON", "ARS", "JPY", "MXN", "CZK", "COP", "CAD", "CHF", "PAX", "DOT", "SOL", "UST", "IDR"),
)
"""Assets known to be quoted in, of Binance-like ids without a separator."""

_BY_LENGTH: Final = tuple(sorted(QUOTES, key=len, reverse=True))


def split_native(native: str) -> tuple[str, str]:
    """Base and quote of an id like BTCUSDT, by the longest known quote it ends with; an id that ends with none keeps an empty quote.

    A guess, used only for recordings that carry no instrument list: `1INCHUP` or a new quote asset can be split wrongly.
    """
    for quote in _BY_LENGTH:
        if native.endswith(quote) and len(native) > len(quote):
            return native[: -len(quote)], quote
    return native, ""


class SymbolMap:
    """Native ids of one market and their CCXT symbols. `linear` markets settle in the quote: BTC/USDT:USDT."""

    def __init__(self, instruments: Iterable[Instrument] = (), *, linear: bool) -> None:
        self._linear = linear
        self._symbols: dict[str, str] = {}
        self.learn(instruments)

    def learn(self, instruments: Iterable[Instrument]) -> None:
        """Take an instrument list; it rules from now on."""
        self._symbols.update({instrument.native: instrument.symbol for instrument in instruments})

    def symbol(self, native: str) -> str:
        """The CCXT symbol of a native id, guessed where the list does not have it."""
        known = self._symbols.get(native)
        if known is None:
            known = self._symbols[native] = self._guess(native)
        return known

    def _guess(self, native: str) -> str:
        name, _, delivery = native.partition("_")
        base, quote = split_native(name)
        if not quote:
            return native
        symbol = f"{base}/{quote}:{quote}" if self._linear else f"{base}/{quote}"
        return f"{symbol}-{delivery}" if delivery else symbol
