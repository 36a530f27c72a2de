"""KuCoin's instrument lists, its names, and what its contracts hold.

Put here: symbols, contracts/active, the unified list; ids to CCXT symbols where no list has told. Keep out: streams and books.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from collectors.contracts import Contract
from collectors.errors import FrameError
from collectors.feeds import micros
from collectors.venue import HttpGet, Instrument
from collectors.venues.kucoin import messages as wire
from collectors.venues.kucoin.messages import EXCHANGE

LISTS: Final[Mapping[str, tuple[str, str]]] = {
    "spot": ("spot_rest", "/api/v2/symbols"),
    "futures": ("futures_rest", "/api/v1/contracts/active"),
}
"""Endpoint and path of the instrument list by market."""

RENAMED: Final[Mapping[str, str]] = {"XBT": "BTC"}

CONTRACT_SIZES: Final[Mapping[str, float]] = {
    "BTC": 0.001,
    "ETH": 0.01,
    "BNB": 0.01,
    "BCH": 0.01,
    "SOL": 0.1,
    "LTC": 0.1,
    "LINK": 0.1,
    "AVAX": 0.1,
    "ETC": 0.1,
    "ATOM": 0.1,
    "FIL": 0.1,
    "DOT": 1.0,
    "EOS": 1.0,
    "UNI": 1.0,
    "XRP": 10.0,
    "ADA": 10.0,
    "MATIC": 10.0,
    "ZRX": 10.0,
    "DOGE": 100.0,
    "TRX": 100.0,
}
"""Base units a linear contract holds, by base, for recordings without an instrument list."""

_PERPETUAL: Final = re.compile(r"(?P<base>[A-Z0-9]+?)(?P<quote>USDT|USDC|USD)M")
_DATED: Final = re.compile(r"(?P<base>[A-Z0-9]+?)M(?P<month>[HMUZ])(?P<year>\d{2})")
_MONTHS: Final = {"H": 3, "M": 6, "U": 9, "Z": 12}


def asset(name: str) -> str:
    """CCXT name of an asset: XBT is BTC."""
    return RENAMED.get(name, name)


def unified(native: str) -> str:
    """CCXT symbol of an id that no list has told: XBTUSDTM is BTC/USDT:USDT, XBTUSDM BTC/USD:BTC.

    A dated contract (XBTMH21) is taken to end on the last Friday of its month.
    """
    base, dash, quote = native.partition("-")
    if dash:
        return f"{base}/{quote}"
    if dated := _DATED.fullmatch(native):
        name = asset(dated["base"])
        return f"{name}/USD:{name}-{_last_friday(2000 + int(dated['year']), _MONTHS[dated['month']]):%y%m%d}"
    if perpetual := _PERPETUAL.fullmatch(native):
        name = asset(perpetual["base"])
        settle = name if perpetual["quote"] == "USD" else perpetual["quote"]
        return f"{name}/{perpetual['quote']}:{settle}"
    return native


def guessed_contract(native: str) -> Contract:
    """What a contract holds that no list has told: one dollar where it settles in coin, else by the table.

    A contract that is not in the table counts as one base unit, because nothing says what it holds.
    """
    base, _, rest = unified(native).partition("/")
    if ":" not in rest:
        return Contract()
    if rest.startswith("USD:"):
        return Contract(1.0, inverse=True)
    return Contract(CONTRACT_SIZES.get(base, 1.0))


def instrument_requests(endpoints: Mapping[str, str], markets: Sequence[str]) -> list[HttpGet]:
    """One request for each market."""
    return [
        HttpGet(url=f"{endpoints[LISTS[market][0]]}{LISTS[market][1]}", purpose="instruments", symbol=market, weight=4)
        for market in markets
    ]


def parse_instruments(body: bytes) -> list[Instrument]:
    """Instruments of an answer of any of the lists, told apart by their rows; raises `FrameError` when it is none."""
    try:
        if b'"tradeType"' in body[:200]:
            return [_of_unified(each) for each in wire.decode_unified_list(body).data.contracts]
        if b'"multiplier"' in body:
            return [of_contract(each) for each in wire.decode_contracts(body).data]
        return [_of_spot(each) for each in wire.decode_spot_symbols(body).data]
    except (msgspec.MsgspecError, ValueError) as error:
        raise FrameError(EXCHANGE, f"instrument list: {error}") from error


def of_contract(contract: wire.FuturesContract) -> Instrument:
    """One contract of contracts/active."""
    return _futures(
        contract.symbol,
        names=(contract.base_currency, contract.quote_currency, contract.settle_currency),
        size=abs(contract.multiplier),
        inverse=contract.is_inverse or contract.multiplier < 0,
        tick=contract.tick_size,
        lot=contract.lot_size,
        expiry=contract.expire_date,
        active=contract.status == "Open",
    )


def _of_unified(contract: wire.UnifiedContract) -> Instrument:
    if contract.settlement_currency is None:
        return _spot(
            contract.symbol,
            names=(contract.base_currency, contract.quote_currency),
            tick=contract.tick_size,
            lot=contract.base_order_step,
            active=str(contract.trading_status) == "1",
        )
    return _futures(
        contract.symbol,
        names=(contract.base_currency, contract.quote_currency, contract.settlement_currency),
        size=abs(contract.unit_size or 1.0),
        inverse=bool(contract.is_inverse),
        tick=contract.tick_size,
        lot=contract.lot_size,
        expiry=contract.expiry_time,
        active=str(contract.trading_status) == "1",
    )


def _futures(
    native: str,
    *,
    names: tuple[str, str, str],
    size: float,
    inverse: bool,
    tick: float | None,
    lot: float | None,
    expiry: int | None,
    active: bool,
) -> Instrument:
    base, quote, settle = map(asset, names)
    symbol = f"{base}/{quote}:{settle}"
    if expiry:
        symbol = f"{symbol}-{datetime.fromtimestamp(micros(expiry) / 1e6, UTC):%y%m%d}"
    return Instrument(
        exchange=EXCHANGE,
        symbol=symbol,
        native=native,
        market="futures",
        base=base,
        quote=quote,
        settle=settle,
        tick_size=tick,
        lot_size=None if lot is None or inverse else lot * size,
        contract_size=size,
        inverse=inverse,
        active=active,
    )


def _of_spot(pair: wire.SpotSymbol) -> Instrument:
    return _spot(
        pair.symbol,
        names=(pair.base_currency, pair.quote_currency),
        tick=float(pair.price_increment) if pair.price_increment else None,
        lot=float(pair.base_increment) if pair.base_increment else None,
        active=pair.enable_trading,
    )


def _spot(native: str, *, names: tuple[str, str], tick: float | None, lot: float | None, active: bool) -> Instrument:
    """A pair; its id can be older than the name of its base."""
    base, quote = map(asset, names)
    return Instrument(
        exchange=EXCHANGE,
        symbol=f"{base}/{quote}",
        native=native,
        market="spot",
        base=base,
        quote=quote,
        tick_size=tick,
        lot_size=lot,
        active=active,
    )


def _last_friday(year: int, month: int) -> datetime:
    following = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    last = following - timedelta(days=1)
    return last - timedelta(days=(last.weekday() - 4) % 7)
