"""Bybit's instruments: ids as CCXT symbols, market by market, and the lists that say so.

Put here: naming and sizes. Keep out: streams and books.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Final, NamedTuple

import msgspec

from collectors.contracts import Contract
from collectors.errors import FrameError
from collectors.symbols import split_native
from collectors.venue import HttpGet, Instrument
from collectors.venues.bybit import messages as wire
from collectors.venues.bybit.messages import EXCHANGE

MARKETS: Final = ("spot", "linear", "inverse")
_QUARTERLY: Final = re.compile(r"([A-Z0-9]+)USD([HMUZ])(\d\d)")
"""Dated inverse contracts: BTCUSDM21 is delivered on the last Friday of June 2021."""
_MONTHS: Final = {"H": 3, "M": 6, "U": 9, "Z": 12}
_DATED: Final = re.compile(r"([A-Z0-9]+)-(\d{1,2}[A-Z]{3}\d\d)(-\d+-[CP].*)?")


class Known(NamedTuple):
    """What decoding needs of an instrument."""

    symbol: str
    contract: Contract


class Names:
    """Instruments of one market by the venue's id: a list rules; without one the id says the name, split at known quotes.

    Sizes are base units everywhere but on the inverse market, whose contracts are worth one dollar each.
    """

    def __init__(self, market: str, instruments: Iterable[Instrument] = ()) -> None:
        self.market = market
        self._known: dict[str, Known] = {}
        self.learn(instruments)

    def learn(self, instruments: Iterable[Instrument]) -> None:
        """Take an instrument list; it rules from now on."""
        self._known.update({each.native: Known(each.symbol, Contract.of(each)) for each in instruments if each.market == self.market})

    def __getitem__(self, native: str) -> Known:
        known = self._known.get(native)
        if known is None:
            contract = Contract(1.0, inverse=True) if self.market == "inverse" else Contract()
            known = self._known[native] = Known(_guess(native, self.market), contract)
        return known


def market_of_id(native: str) -> str:
    """Which market an id without further word belongs to; linear where it could be spot as well."""
    base, quote = split_native(native)
    return "inverse" if _QUARTERLY.fullmatch(native) or (quote == "USD" and base) else "linear"


def instrument_requests(endpoints: Mapping[str, str], markets: Sequence[str]) -> list[HttpGet]:
    """One request for each market; a page holds a thousand, more than any market has."""
    path = "/v5/market/instruments-info?category={}&status=Trading&limit=1000"
    return [HttpGet(url=f"{endpoints['rest']}{path.format(market)}", purpose="instruments", symbol=market) for market in markets]


def parse_instruments(body: bytes) -> list[Instrument]:
    """Instruments of an answer; raises `FrameError` when it is none or only a first page."""
    try:
        answer = wire.decode_answer(body)
        if answer.retCode != 0 or answer.result.list is wire.ABSENT:
            raise FrameError(EXCHANGE, f"instrument list holds code {answer.retCode} ({answer.retMsg}), expected 0 and a list")
        if answer.result.nextPageCursor:
            raise FrameError(EXCHANGE, "instrument list goes on on a second page, expected all instruments on the first")
        return read_instruments(answer.result)
    except msgspec.MsgspecError as error:
        raise FrameError(EXCHANGE, f"instrument list: {error}") from error


def read_instruments(result: wire.Result) -> list[Instrument]:
    """Instruments of a list's rows."""
    try:
        return [_instrument(row, market=result.category or _market_of(row)) for row in wire.decode_instruments(result.list)]
    except (ValueError, OverflowError) as error:
        raise FrameError(EXCHANGE, f"an instrument holds no number: {error}") from error


def _market_of(row: wire.InstrumentData) -> str:
    return "inverse" if row.contractType.startswith("Inverse") else "linear" if row.contractType else "spot"


def _instrument(row: wire.InstrumentData, *, market: str) -> Instrument:
    symbol = f"{row.baseCoin}/{row.quoteCoin}"
    if market != "spot":
        symbol = f"{symbol}:{row.settleCoin}"
        if row.contractType.endswith("Futures"):
            symbol = f"{symbol}-{datetime.fromtimestamp(int(row.deliveryTime) / 1000, UTC):%y%m%d}"
    lot = row.lotSizeFilter.basePrecision or row.lotSizeFilter.qtyStep
    return Instrument(
        exchange=EXCHANGE,
        symbol=symbol,
        native=row.symbol,
        market=market,
        base=row.baseCoin,
        quote=row.quoteCoin,
        settle=row.settleCoin or None,
        tick_size=float(row.priceFilter.tickSize) if row.priceFilter.tickSize else None,
        lot_size=float(lot) if lot else None,
        inverse=market == "inverse",
        active=row.status == "Trading",
    )


def _guess(native: str, market: str) -> str:
    """The name of an id by its form alone."""
    if market == "spot":
        base, quote = split_native(native.replace("-", ""))
        return f"{base}/{quote}" if quote else native
    if found := _QUARTERLY.fullmatch(native):
        base, letter, year = found.groups()
        return f"{base}/USD:{base}-{_last_friday(2000 + int(year), _MONTHS[letter]):%y%m%d}"
    if found := _DATED.fullmatch(native):
        name, day, option = found.groups()
        base, quote = split_native(name) if name.endswith(("USDT", "USDC")) else (name, "USDC")
        return f"{base}/{quote}:{quote}-{_delivery(day)}{option or ''}"
    if native.endswith("PERP"):
        base = native.removesuffix("PERP")
        return f"{base}/USDC:USDC"
    base, quote = split_native(native)
    return f"{base}/{quote}:{base if quote == 'USD' else quote}" if quote else native


def _delivery(day: str) -> str:
    """25DEC26 as 261225; raises `FrameError` when it is no day."""
    try:
        return f"{datetime.strptime(day, '%d%b%y').replace(tzinfo=UTC):%y%m%d}"
    except ValueError as error:
        raise FrameError(EXCHANGE, f"delivery {day!r} is no day") from error


def _last_friday(year: int, month: int) -> date:
    last = date(year, month, monthrange(year, month)[1])
    return last.replace(day=last.day - (last.weekday() - 4) % 7)
