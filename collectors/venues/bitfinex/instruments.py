"""Bitfinex's names and instrument lists: UST is USDT, F0 marks a perpetual, codes of up to 3 + 3 letters are joined.

Put here: naming and the conf lists. Keep out: streams and books.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import msgspec

from collectors.errors import FrameError
from collectors.venue import HttpGet, Instrument
from collectors.venues.bitfinex.messages import EXCHANGE

CODES: Final[Mapping[str, str]] = {
    "UST": "USDT",
    "ALG": "ALGO",
    "AMP": "AMPL",
    "ATO": "ATOM",
    "BCHN": "BCH",
    "DAT": "DATA",
    "DSH": "DASH",
    "EUS": "EURS",
    "EUT": "EURT",
    "IOT": "IOTA",
    "IQX": "IQ",
    "MNA": "MANA",
    "PAS": "PASS",
    "QSH": "QASH",
    "QTM": "QTUM",
    "RBT": "RBTC",
    "SNG": "SNGLS",
    "STJ": "STORJ",
    "TSD": "TUSD",
    "UDC": "USDC",
    "VSY": "VSYS",
    "WBT": "WBTC",
    "XCH": "XCHF",
    "YYW": "YOYOW",
}
"""Well-known codes, for recordings without `pub:map:currency:sym`; the venue's own map adds to it and rules."""

_LISTS: Final = {"spot": "pub:info:pair", "perp": "pub:info:pair:futures"}
_PAIR_LISTS: Final = ("pub:list:pair:exchange", "pub:list:pair:future", "pub:list:pair:futures", *_LISTS.values())
_MAP: Final = "pub:map:currency:sym"


class Names:
    """What the venue's codes stand for."""

    def __init__(self) -> None:
        self._codes = dict(CODES)

    def learn(self, pairs: Sequence[Sequence[str]]) -> None:
        """Take the venue's map of codes; UST stays USDT, which the map spells USDt."""
        for code, name in pairs:
            if not code.endswith("F0"):
                self._codes[code] = name.upper()

    def code(self, code: str) -> str:
        """The asset a code of the venue stands for, a perpetual's mark taken off."""
        plain = code.removesuffix("F0")
        return self._codes.get(plain, plain)

    def split(self, native: str) -> tuple[str, str, bool]:
        """Base, quote, and whether it is a perpetual, of tBTCUST, tDOGE:USD or tBTCF0:USTF0."""
        name = native.removeprefix("t")
        base, colon, quote = name.partition(":")
        if not colon:
            base, quote = name[:3], name[3:]
        return self.code(base), self.code(quote), base.endswith("F0") and quote.endswith("F0")

    def symbol(self, native: str) -> str:
        """The CCXT symbol of a native one."""
        base, quote, perpetual = self.split(native)
        return f"{base}/{quote}:{quote}" if perpetual else f"{base}/{quote}"


def instrument_requests(endpoints: Mapping[str, str], markets: Sequence[str]) -> list[HttpGet]:
    """One request for the lists of all markets and the map of codes."""
    lists = [_LISTS[market] for market in _LISTS if market in markets]
    if not lists:
        return []
    return [HttpGet(url=f"{endpoints['rest']}/v2/conf/{','.join([*lists, _MAP])}", purpose="instruments", symbol=",".join(markets))]


def parse_conf(url: str, body: bytes, names: Names) -> list[Instrument]:
    """Instruments of a conf answer, whose URL names the lists it holds; `names` learns its map of codes. Raises `FrameError`."""
    keys = unquote(urlsplit(url).path).rpartition("/")[2].split(",")
    try:
        answers = msgspec.json.decode(body, type=list[list[Any]])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise FrameError(EXCHANGE, f"instrument list: {error}") from error
    if len(answers) != len(keys):
        raise FrameError(EXCHANGE, f"instrument list holds {len(answers)} lists, expected {len(keys)}")
    try:
        found = dict(zip(keys, answers, strict=True))
        names.learn(found.get(_MAP, []))
        pairs = [row if isinstance(row, str) else row[0] for key in _PAIR_LISTS for row in found.get(key, [])]
        listed = [_instrument(pair, names) for pair in pairs if not pair.startswith("TEST")]
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise FrameError(EXCHANGE, f"instrument list has rows of another shape: {error}") from error
    return [each for each in listed if each.quote]


def _instrument(pair: str, names: Names) -> Instrument:
    native = f"t{pair}"
    base, quote, perpetual = names.split(native)
    return Instrument(
        exchange=EXCHANGE,
        symbol=names.symbol(native),
        native=native,
        market="perp" if perpetual else "spot",
        base=base,
        quote=quote,
        settle=quote if perpetual else None,
        lot_size=1e-8,
        amount_decimals=8,
    )
