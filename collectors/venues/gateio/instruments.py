"""Gate.io's instrument lists, its names, and what its contracts hold.

Put here: currency_pairs, contracts; ids to CCXT symbols where no list has told. Keep out: streams and books.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from collectors.contracts import Contract
from collectors.errors import FrameError
from collectors.venue import HttpGet, Instrument
from collectors.venues.gateio import messages as wire
from collectors.venues.gateio.messages import EXCHANGE
from collectors.venues.gateio.sizes import CONTRACT_SIZES

PATHS: Final[Mapping[str, str]] = {"spot": "/spot/currency_pairs", "usdt": "/futures/usdt/contracts", "btc": "/futures/btc/contracts"}
"""Path of the instrument list by market; futures markets are named by what they settle in."""


def unified(native: str, *, spot: bool) -> str:
    """CCXT symbol of an id: BTC_USDT is BTC/USDT on spot and BTC/USDT:USDT on futures, BTC_USD is BTC/USD:BTC.

    Contracts in USD all settle in BTC; a date ends the name of a contract that expires.
    """
    base, _, rest = native.partition("_")
    quote, _, date = rest.partition("_")
    if not quote:
        return native
    if spot:
        return f"{base}/{rest}"
    settle = "BTC" if quote == "USD" else quote
    return f"{base}/{quote}:{settle}" + (f"-{date[2:]}" if date else "")


def contract_of(native: str, multiplier: float | None) -> tuple[float, bool]:
    """(size, inverse) of a futures contract; `multiplier` is None where no list has told it.

    Contracts of other coins in USD pay in BTC whatever they cost (quanto), so that nothing says what base units they hold: one each.
    """
    base, _, rest = native.partition("_")
    if rest.partition("_")[0] == "USD":
        return 1.0, base == "BTC"
    return multiplier or CONTRACT_SIZES.get(base, 1.0), False


def guessed_contract(native: str) -> Contract:
    """What a futures contract holds that no list has told."""
    size, inverse = contract_of(native, None)
    return Contract(size, inverse=inverse)


def instrument_requests(endpoints: Mapping[str, str], markets: Sequence[str]) -> list[HttpGet]:
    """One request for each market."""
    return [HttpGet(url=f"{endpoints['rest']}{PATHS[market]}", purpose="instruments", symbol=market) for market in markets]


def parse_instruments(body: bytes) -> list[Instrument]:
    """Instruments of an answer of either list, told apart by their rows; raises `FrameError` when it is none."""
    try:
        if b'"quanto_multiplier"' in body:
            return [_of_contract(each) for each in wire.decode_contracts(body)]
        return [_of_pair(each) for each in wire.decode_currency_pairs(body)]
    except msgspec.MsgspecError as error:
        raise FrameError(EXCHANGE, f"instrument list: {error}") from error


def _of_pair(pair: wire.CurrencyPair) -> Instrument:
    return Instrument(
        exchange=EXCHANGE,
        symbol=f"{pair.base}/{pair.quote}",
        native=pair.id,
        market="spot",
        base=pair.base,
        quote=pair.quote,
        tick_size=None if pair.precision is None else 10.0**-pair.precision,
        lot_size=None if pair.amount_precision is None else 10.0**-pair.amount_precision,
        price_decimals=pair.precision,
        amount_decimals=pair.amount_precision,
        active=pair.trade_status == "tradable",
    )


def _of_contract(contract: wire.FuturesContract) -> Instrument:
    symbol = unified(contract.name, spot=False)
    pair, _, settle = symbol.partition(":")
    base, _, quote = pair.partition("/")
    settle = settle.partition("-")[0]
    size, inverse = contract_of(contract.name, contract.quanto_multiplier)
    return Instrument(
        exchange=EXCHANGE,
        symbol=symbol,
        native=contract.name,
        market=settle.lower(),
        base=base,
        quote=quote,
        settle=settle,
        tick_size=contract.order_price_round,
        lot_size=None if inverse or contract.order_size_min is None else contract.order_size_min * size,
        contract_size=size,
        inverse=inverse,
        active=not contract.in_delisting,
    )
