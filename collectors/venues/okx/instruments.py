"""OKX's instruments: ids as CCXT symbols, what a contract holds, the lists that say so.

Put here: naming and sizes. Keep out: streams and books.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from collectors.contracts import Contract
from collectors.errors import FrameError
from collectors.venue import HttpGet, Instrument
from collectors.venues.okx import messages as wire
from collectors.venues.okx.messages import EXCHANGE

TYPES: Final = {"spot": "SPOT", "swap": "SWAP", "futures": "FUTURES"}
"""Instrument type by market."""
_STABLE: Final = ("USDT", "USDC")

_SIZES: Final[Mapping[float, str]] = {
    0.0001: "YFI",
    0.001: "YFII",
    0.01: "BTC ICP MKR TORN XCH",
    0.1: "ETH LUNA AAVE AXS BADGER BAL BCH BNB BZZ COMP DASH DORA EGLD ENS FIL KSM LPT TRB UMA WNXM XMR ZEC",
    1000.0: "DOGE IOST TRX",
    10.0: "GALA UMEE ALGO BAT BNT CFX CHZ CONV CRO EOS ETC FLM FTM GRT IOTA LAT LRC MANA MATIC NEAR ONT REN RSS3 RVN SAND SLP STORJ"
    " THETA XEM ZRX",
    100.0: "ADA BTM CVC JST PEOPLE RSR SC XLM XRP ZIL",
    100_000.0: "STARL",
    1_000_000.0: "SHIB ELON NFT SOS",
    1_000_000_000.0: "BABYDOGE KISHU",
}
_BASE_SIZES: Final = {base: size for size, bases in _SIZES.items() for base in bases.split()}
"""Base units of one linear contract by base, from the instrument list of February 2022; most that are not named hold 1."""
_OPTION_SIZES: Final = {"BTC": 0.1, "ETH": 1.0}


class Known(NamedTuple):
    """What decoding needs of an instrument."""

    symbol: str
    contract: Contract


class Names:
    """Instruments by the venue's id: a list rules; without one the id says the name, and a table of early 2022 the contract's size.

    A size that neither knows is taken for 1 base unit a contract, as most are: amounts of such a contract are off by a power of ten
    until a list arrives.
    """

    def __init__(self, instruments: Iterable[Instrument] = ()) -> None:
        self._known: dict[str, Known] = {}
        self.learn(instruments)

    def learn(self, instruments: Iterable[Instrument]) -> None:
        """Take an instrument list; it rules from now on."""
        self._known.update({each.native: Known(each.symbol, Contract.of(each)) for each in instruments})

    def __getitem__(self, native: str) -> Known:
        known = self._known.get(native)
        if known is None:
            known = self._known[native] = _guess(native)
        return known


def index_symbol(index: str) -> str:
    """The perpetual an index (BTC-USDT) belongs to."""
    return _guess(f"{index}-SWAP").symbol


def instrument_requests(endpoints: Mapping[str, str], markets: Sequence[str]) -> list[HttpGet]:
    """One request for each market."""
    return [
        HttpGet(url=f"{endpoints['rest']}/api/v5/public/instruments?instType={TYPES[market]}", purpose="instruments", symbol=market)
        for market in markets
    ]


def parse_instruments(body: bytes) -> list[Instrument]:
    """Instruments of a REST answer; raises `FrameError` when it is none."""
    try:
        answer = wire.decode_envelope(body)
        if str(answer.code) != "0" or answer.data is wire.ABSENT:
            raise FrameError(EXCHANGE, f"instrument list holds code {answer.code!r} ({answer.msg}), expected 0 and data")
        return read_instruments(answer.data)
    except msgspec.MsgspecError as error:
        raise FrameError(EXCHANGE, f"instrument list: {error}") from error


def read_instruments(data: bytes | msgspec.Raw) -> list[Instrument]:
    """Instruments of a list's rows; those whose contract cannot be told are left out."""
    try:
        return [_instrument(row) for row in wire.decode_instruments(data) if row.instType == "SPOT" or row.ctVal]
    except (ValueError, OverflowError) as error:
        raise FrameError(EXCHANGE, f"an instrument holds no number: {error}") from error


def _instrument(row: wire.InstrumentData) -> Instrument:
    spot = row.instType == "SPOT"
    base, _, quote = (f"{row.baseCcy}-{row.quoteCcy}" if spot else row.instFamily or row.uly or row.instId).partition("-")
    quote = quote.partition("-")[0].partition("_")[0]
    symbol = f"{base}/{quote}" if spot else f"{base}/{quote}:{row.settleCcy}{_suffix(row.instId)}"
    return Instrument(
        exchange=EXCHANGE,
        symbol=symbol,
        native=row.instId,
        market=row.instType.lower(),
        base=base,
        quote=quote,
        settle=None if spot else row.settleCcy,
        tick_size=float(row.tickSz) if row.tickSz else None,
        lot_size=float(row.lotSz) if row.lotSz else None,
        contract_size=1.0 if spot else float(row.ctVal) * float(row.ctMult or 1),
        # Some rows call themselves linear though they are worth dollars: the currency of the value says it.
        inverse=not spot and row.ctValCcy == quote and row.ctValCcy != row.settleCcy,
        active=row.state == "live",
    )


def _suffix(native: str) -> str:
    """What follows the pair in an id, as CCXT writes it: nothing for swaps, -220325, -220325-40000-C."""
    rest = native.split("-")[2:]
    return "" if not rest or rest[0] == "SWAP" else "-" + "-".join(rest)


def _guess(native: str) -> Known:
    """Name and contract of an id by its form alone."""
    parts = native.split("-")
    if len(parts) == 2:
        return Known(f"{parts[0]}/{parts[1]}", Contract())
    if len(parts) < 2:
        return Known(native, Contract())
    base, quote = parts[0], parts[1]
    dollars, margined, _ = quote.partition("_UM")
    if len(parts) == 5:
        return Known(f"{base}/{quote}:{base}{_suffix(native)}", Contract(_OPTION_SIZES.get(base, 1.0)))
    if margined:
        # Margined in dollars and called _UM_: linear, sizes as of the list only.
        return Known(f"{base}/{dollars}:{dollars}{_suffix(native)}", Contract(_BASE_SIZES.get(base, 1.0)))
    if quote in _STABLE:
        return Known(f"{base}/{quote}:{quote}{_suffix(native)}", Contract(_BASE_SIZES.get(base, 1.0)))
    return Known(f"{base}/{quote}:{base}{_suffix(native)}", Contract(100.0 if base == "BTC" else 10.0, inverse=True))
