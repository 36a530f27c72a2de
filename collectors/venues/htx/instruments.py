"""HTX's names, contract sizes and instrument lists.

Put here: naming and lists. Keep out: streams and books. Rolling names of coin-margined futures (BTC_CW) say no date and are no symbol.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from collectors.contracts import Contract
from collectors.errors import FrameError
from collectors.symbols import split_native
from collectors.venue import HttpGet, Instrument
from collectors.venues.htx import messages as wire
from collectors.venues.htx.messages import EXCHANGE

SIZES: Final[Mapping[float, tuple[str, ...]]] = {
    0.0001: ("YFI",),
    0.001: ("BTC", "MKR", "YFII"),
    0.01: ("ETH", "BCH", "BSV", "COMP", "ICP", "XMR"),
    0.1: ("LTC", "LINK", "FIL", "BNB", "ZEC", "DASH", "KSM", "AAVE", "NEO", "AXS"),
    1.0: ("DOT", "EOS", "UNI", "SNX", "ETC", "ATOM", "SUSHI", "1INCH", "CRV", "XTZ", "WAVES", "SOL", "AVAX"),
    10.0: ("XRP", "ADA", "THETA", "XLM", "GRT", "ALGO", "XEM", "ONT", "SAND", "PEOPLE"),
    100.0: ("DOGE", "TRX", "ZIL", "VET", "MATIC", "IOST"),
    1000.0: ("SHIB",),
}
"""Base units of a linear contract, by base, for recordings without a contract list (values of February 2022)."""
_KNOWN: Final = {base: size for size, bases in SIZES.items() for base in bases}
_INVERSE_SIZES: Final = {"BTC": 100.0}
_INVERSE_USUAL: Final = 10.0
"""Dollars of an inverse contract: 100 for BTC, 10 for everything else (February 2022)."""
_CONTRACT: Final = re.compile(r"([A-Z0-9]+)-(USDT|USD)(?:-(\d{6}))?")
_COIN_FUTURE: Final = re.compile(r"([A-Z0-9]*[A-Z])(\d{6})")

_OWN_QUOTES: Final = ("HUSD", "USDD", "HT")
"""Assets only this venue has quoted in."""

CONTRACT_INFO: Final = "/linear-swap-api/v1/swap_contract_info?business_type=all"


class Names:
    """Instruments by native id, of lists, or read off the id."""

    def __init__(self, instruments: Iterable[Instrument] = ()) -> None:
        self._known: dict[str, Instrument] = {}
        self.learn(instruments)

    def learn(self, instruments: Iterable[Instrument]) -> None:
        """Take a list; it rules from now on."""
        self._known.update({each.native: each for each in instruments})

    def find(self, native: str) -> Instrument | None:
        """The instrument of a native id; None where it names none (a rolling future).

        A contract in no list takes its usual size; the size of a linear one that is not well known stays 1, so that its books are
        in contracts until a list is met. Its trades carry base units themselves.
        """
        known = self._known.get(native)
        if known is None:
            known = _spot(native) if native.islower() or native.isdigit() else _contract(native)
            if known is not None:
                self._known[native] = known
        return known

    def resize(self, native: str, size: float) -> Instrument | None:
        """Take the size of a contract off a notification."""
        found = self.find(native)
        if found is not None:
            found = self._known[native] = msgspec.structs.replace(found, contract_size=size)
        return found


def contract_of(instrument: Instrument) -> Contract:
    """What one unit of an instrument's wire amounts holds."""
    return Contract.of(instrument)


def _spot(native: str) -> Instrument:
    name = native.upper()
    own = next((quote for quote in _OWN_QUOTES if name.endswith(quote) and name != quote), None)
    base, quote = split_native(name) if own is None else (name.removesuffix(own), own)
    return Instrument(exchange=EXCHANGE, symbol=f"{base}/{quote}" if quote else base, native=native, market="spot", base=base, quote=quote)


def _contract(native: str) -> Instrument | None:
    found = _CONTRACT.fullmatch(native)
    if found is not None:
        base, quote, date = found.groups()
        return _future(native, base, quote, date=date or "")
    found = _COIN_FUTURE.fullmatch(native)
    return None if found is None else _future(native, found[1], "USD", date=found[2])


def _future(
    native: str, base: str, quote: str, *, date: str, size: float | None = None, tick: float | None = None, active: bool = True
) -> Instrument:
    inverse = quote == "USD"
    settle = base if inverse else quote
    usual = _INVERSE_SIZES.get(base, _INVERSE_USUAL) if inverse else _KNOWN.get(base, 1.0)
    return Instrument(
        exchange=EXCHANGE,
        symbol=f"{base}/{quote}:{settle}-{date}" if date else f"{base}/{quote}:{settle}",
        native=native,
        market="inverse" if inverse else "linear",
        base=base,
        quote=quote,
        settle=settle,
        tick_size=tick,
        lot_size=usual if size is None else size,
        contract_size=usual if size is None else size,
        inverse=inverse,
        active=active,
    )


def instrument_requests(endpoints: Mapping[str, str], markets: Sequence[str]) -> list[HttpGet]:
    """One request for each market."""
    urls = {"spot": f"{endpoints['spot_rest']}/v1/common/symbols", "linear": f"{endpoints['linear_rest']}{CONTRACT_INFO}"}
    return [HttpGet(url=urls[market], purpose="instruments", symbol=market) for market in markets]


def parse_instruments(body: bytes, *, spot: bool) -> list[Instrument]:
    """Instruments of a symbol list or a contract list; raises `FrameError` when it is neither."""
    try:
        answer = wire.decode_answer(body)
        if answer.status != "ok":
            raise FrameError(EXCHANGE, f"instrument list has status {answer.status!r}, expected ok")
        if spot:
            return [_listed(row) for row in wire.decode_spot_symbols(answer.data)]
        return contracts(answer.data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise FrameError(EXCHANGE, f"instrument list: {error}") from error


def contracts(data: bytes | msgspec.Raw) -> list[Instrument]:
    """Instruments of contract rows."""
    found: list[Instrument] = []
    for row in wire.decode_contracts(data):
        named = _contract(row.contract_code)
        if named is not None:
            date = named.symbol.partition("-")[2]
            active = row.contract_status == 1
            found.append(
                _future(row.contract_code, named.base, named.quote, date=date, size=row.contract_size, tick=row.price_tick, active=active)
            )
    return found


def _listed(row: wire.SpotSymbol) -> Instrument:
    native, base, quote = row.symbol or row.sc, (row.base or row.bc).upper(), (row.quote or row.qc).upper()
    if not (native and base and quote):
        raise FrameError(EXCHANGE, f"instrument list has a row without symbol, base or quote: {native!r}, {base!r}, {quote!r}")
    prices = row.price_decimals if row.price_decimals is not None else row.tpp
    amounts = row.amount_decimals if row.amount_decimals is not None else row.tap
    return Instrument(
        exchange=EXCHANGE,
        symbol=f"{base}/{quote}",
        native=native,
        market="spot",
        base=base,
        quote=quote,
        tick_size=None if prices is None else 10.0**-prices,
        lot_size=None if amounts is None else 10.0**-amounts,
        price_decimals=prices,
        amount_decimals=amounts,
        active=row.state == "online",
    )
