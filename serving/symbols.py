"""Symbols as people write them: unified (BTC/USDT), dashed (BTC-USDT) or the venue's own (BTCUSDT).

Put here: which unified symbol a text means. Keep out: reading listings (`serving.reader`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from serving.errors import BadRequest

ALIASES: Final = {"huobi": "htx"}
"""Former names of exchanges."""

_EXCHANGE: Final = re.compile(r"[a-z0-9_]{1,40}", re.ASCII)
_SYMBOL: Final = re.compile(r"[^\s\x00-\x1f\x7f'\";\\]{1,80}")
_UNIFIED: Final = re.compile(r"[^/\-]+/[^/]+")
_DASHED: Final = re.compile(r"[^/\-]+-[^/\-:]+(:[^/\-]+)?")


def exchange_id(text: str) -> str:
    """The id of an exchange, lower case, aliases resolved. Raises `BadRequest` for what can be none."""
    known = ALIASES.get(text.lower(), text.lower())
    if not _EXCHANGE.fullmatch(known):
        raise BadRequest(f"exchange is {text[:60]!r}, expected an id as binance or kraken")
    return known


@dataclass(frozen=True, slots=True)
class Listed:
    """One instrument as a venue lists it."""

    exchange: str
    symbol: str
    native: str
    is_spot: bool


@dataclass(slots=True)
class SymbolIndex:
    """Unified symbols by the venues' own names."""

    natives: dict[str, list[Listed]] = field(default_factory=dict)

    @classmethod
    def of(cls, listed: Iterable[Listed]) -> SymbolIndex:
        """The index of all instruments that are listed."""
        index = cls()
        for each in listed:
            index.natives.setdefault(each.native.upper(), []).append(each)
        return index

    def resolve(self, text: str, *, exchange: str | None = None) -> str:
        """The unified symbol of a text, on one exchange or on any. A spot pair goes before a contract of the same name.

        Raises `BadRequest` where the text can be no symbol, is listed nowhere, or means several.
        """
        if not _SYMBOL.fullmatch(text):
            raise BadRequest(f"symbol is {text[:60]!r}, expected one as BTC/USDT, BTC-USDT or BTCUSDT")
        if _UNIFIED.fullmatch(text):
            return text.upper()
        listed = [each for each in self.natives.get(text.upper(), ()) if exchange is None or each.exchange == exchange]
        spot = {each.symbol for each in listed if each.is_spot}
        meant = spot or {each.symbol for each in listed}
        if len(meant) == 1:
            return meant.pop()
        if _DASHED.fullmatch(text):
            return text.upper().replace("-", "/", 1)
        where = f"on {exchange}" if exchange else "anywhere"
        if meant:
            raise BadRequest(f"symbol {text[:60]!r} means {', '.join(sorted(meant)[:5])}, expected one of them or an exchange beside it")
        raise BadRequest(f"symbol {text[:60]!r} is not listed {where}, expected one as BTC/USDT, BTC-USDT or the exchange's own name")
