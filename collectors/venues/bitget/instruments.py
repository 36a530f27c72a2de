"""Bitget's instruments: ids as CCXT symbols, product type by product type, and the lists that say so.

Put here: naming. Keep out: streams and books. Amounts are base units on every market of v2.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Final

import msgspec

from collectors.errors import FrameError
from collectors.symbols import split_native
from collectors.venue import HttpGet, Instrument
from collectors.venues.bitget import messages as wire
from collectors.venues.bitget.messages import EXCHANGE

MARKETS: Final = ("spot", "usdt-futures", "usdc-futures", "coin-futures")
"""Product types as v3 writes them; v2 writes them in capitals."""
_SUFFIXES: Final = re.compile(r"_(SPBL|UMCBL|CMCBL|DMCBL|CM)$")
_DATED: Final = re.compile(r"([A-Z0-9]+?)(USDT?)_(\d{6})")
_QUARTERLY: Final = re.compile(r"([A-Z0-9]+)(USDT|USD)([HMUZ])(\d\d)")
_MONTHS: Final = {"H": 3, "M": 6, "U": 9, "Z": 12}


class Names:
    """CCXT symbols by market and id: a list rules, without one the id says it."""

    def __init__(self, instruments: Iterable[Instrument] = ()) -> None:
        self._known: dict[tuple[str, str], str] = {}
        self.learn(instruments)

    def learn(self, instruments: Iterable[Instrument]) -> None:
        """Take an instrument list; it rules from now on."""
        self._known.update({(each.market, each.native): each.symbol for each in instruments})

    def symbol(self, market: str, native: str) -> str:
        """The CCXT symbol of an id of a market."""
        known = self._known.get((market, native))
        if known is None:
            known = self._known[market, native] = _guess(plain(native), market)
        return known


def plain(native: str) -> str:
    """An id without the suffix that v1 and v3 put behind some."""
    return _SUFFIXES.sub("", native.upper())


def futures_market(native: str) -> str:
    """The product type of a futures id that comes without one."""
    name = plain(native)
    if name.endswith("PERP") or native.upper().endswith("_CMCBL"):
        return "usdc-futures"
    found = _DATED.fullmatch(name) or _QUARTERLY.fullmatch(name)
    quote = found[2] if found else split_native(name)[1]
    return "coin-futures" if quote == "USD" else "usdt-futures"


def instrument_requests(endpoints: Mapping[str, str], markets: Sequence[str]) -> list[HttpGet]:
    """One request for each market."""
    paths = {
        market: "/api/v2/spot/public/symbols" if market == "spot" else f"/api/v2/mix/market/contracts?productType={market.upper()}"
        for market in markets
    }
    return [HttpGet(url=f"{endpoints['rest']}{path}", purpose="instruments", symbol=market) for market, path in paths.items()]


def parse_instruments(body: bytes) -> list[Instrument]:
    """Instruments of an answer; raises `FrameError` when it is none."""
    try:
        answer = wire.decode_envelope(body)
        if str(answer.code) != "00000" or answer.data is wire.ABSENT:
            raise FrameError(EXCHANGE, f"instrument list holds code {answer.code!r} ({answer.msg}), expected 00000 and data")
        return read_instruments(answer.data)
    except msgspec.MsgspecError as error:
        raise FrameError(EXCHANGE, f"instrument list: {error}") from error


def read_instruments(data: bytes | msgspec.Raw) -> list[Instrument]:
    """Instruments of a list's rows."""
    try:
        return [_spot(row) if row.pricePlace is None else _future(row) for row in wire.decode_instruments(data)]
    except (ValueError, OverflowError) as error:
        raise FrameError(EXCHANGE, f"an instrument holds no number: {error}") from error


def _spot(row: wire.InstrumentData) -> Instrument:
    price = row.pricePrecision if row.pricePrecision is not None else row.priceScale
    amount = row.quantityPrecision if row.quantityPrecision is not None else row.quantityScale
    return Instrument(
        exchange=EXCHANGE,
        symbol=f"{row.baseCoin}/{row.quoteCoin}",
        native=row.symbolName or row.symbol,
        market="spot",
        base=row.baseCoin,
        quote=row.quoteCoin,
        tick_size=None if price is None else 10.0**-price,
        lot_size=None if amount is None else 10.0**-amount,
        price_decimals=price,
        amount_decimals=amount,
        active=row.status == "online",
    )


def _future(row: wire.InstrumentData) -> Instrument:
    market = {"USDT": "usdt-futures", "USDC": "usdc-futures"}.get(row.quoteCoin) or futures_market(row.symbol)
    quote = "USDC" if market == "usdc-futures" else row.quoteCoin
    settle = row.baseCoin if market == "coin-futures" else quote
    symbol = f"{row.baseCoin}/{quote}:{settle}"
    if row.symbolType == "delivery" and row.deliveryTime:
        symbol = f"{symbol}-{datetime.fromtimestamp(int(row.deliveryTime) / 1000, UTC):%y%m%d}"
    elif found := _DATED.fullmatch(plain(row.symbol)):
        symbol = f"{symbol}-{found[3]}"
    place = row.pricePlace or 0
    return Instrument(
        exchange=EXCHANGE,
        symbol=symbol,
        native=plain(row.symbol),
        market=market,
        base=row.baseCoin,
        quote=quote,
        settle=settle,
        tick_size=(row.priceEndStep or 1.0) / 10**place,
        lot_size=row.sizeMultiplier if row.sizeMultiplier is not None else 10.0 ** -(row.volumePlace or 0),
        price_decimals=place,
        amount_decimals=row.volumePlace,
        active=row.symbolStatus in ("", "normal"),
    )


def _guess(native: str, market: str) -> str:
    """The name of a plain id by its form alone."""
    if market == "spot":
        base, quote = split_native(native)
        return f"{base}/{quote}" if quote else native
    if native.endswith("PERP"):
        return f"{native.removesuffix('PERP')}/USDC:USDC"
    delivery = ""
    if found := _DATED.fullmatch(native):
        base, quote, delivery = found[1], found[2], f"-{found[3]}"
    elif found := _QUARTERLY.fullmatch(native):
        base, quote = found[1], found[2]
        delivery = f"-{_last_friday(2000 + int(found[4]), _MONTHS[found[3]]):%y%m%d}"
    else:
        base, quote = split_native(native)
    if not quote:
        return native
    return f"{base}/{quote}:{base if market == 'coin-futures' else quote}{delivery}"


def _last_friday(year: int, month: int) -> date:
    last = date(year, month, monthrange(year, month)[1])
    return last.replace(day=last.day - (last.weekday() - 4) % 7)
