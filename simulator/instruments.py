"""What can be traded: one record per instrument and the assets' reference prices.

What belongs here: venue-neutral facts (tick, lot, reference price) and choosing instruments by symbol.
What does not: how a venue spells a symbol or a number; that is the venue's module.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from simulator.errors import UnknownSymbol


@dataclass(frozen=True, slots=True)
class Asset:
    """A base asset: price in US dollars around which it walks, yearly volatility of its own, weight of the common factor."""

    reference_price: float
    own_volatility: float
    market_weight: float


ASSETS: dict[str, Asset] = {
    "BTC": Asset(64_000.0, 0.20, 1.00),
    "ETH": Asset(3_100.0, 0.32, 1.15),
    "SOL": Asset(148.0, 0.50, 1.35),
    "XRP": Asset(1.08, 0.55, 1.10),
    "BNB": Asset(585.0, 0.30, 0.90),
    "DOGE": Asset(0.1250, 0.65, 1.40),
    "ADA": Asset(0.4100, 0.50, 1.20),
    "LTC": Asset(84.0, 0.45, 1.10),
    "AVAX": Asset(21.40, 0.60, 1.35),
    "LINK": Asset(13.90, 0.55, 1.30),
    "DOT": Asset(4.150, 0.55, 1.25),
    "TRX": Asset(0.2710, 0.30, 0.70),
    "BCH": Asset(472.0, 0.50, 1.10),
    "UNI": Asset(7.85, 0.60, 1.30),
    "NEAR": Asset(2.640, 0.65, 1.35),
    "ATOM": Asset(4.480, 0.55, 1.20),
    "ETC": Asset(17.60, 0.50, 1.20),
    "FIL": Asset(2.510, 0.60, 1.25),
    "XLM": Asset(0.2630, 0.55, 1.15),
    "SUI": Asset(2.870, 0.75, 1.45),
}


def synthetic(base: str) -> Asset | None:
    """The asset behind an invented base, S001 to S999, of which there are as many as a test of many symbols needs."""
    if len(base) != 4 or base[0] != "S" or not base[1:].isdigit() or base == "S000":
        return None
    number = int(base[1:])
    return Asset(1.0 + number / 10, 0.30 + number % 40 / 100, 0.80 + number % 60 / 100)


def asset(base: str) -> Asset:
    """The asset of a base, invented ones included; UnknownSymbol where there is none."""
    found = ASSETS.get(base) or synthetic(base)
    if found is None:
        raise UnknownSymbol("base", base, expected=", ".join(ASSETS))
    return found


@dataclass(frozen=True, slots=True)
class Instrument:
    """One market of one venue. Prices are whole ticks of 10**-tick_decimals, amounts whole lots of 10**-lot_decimals.

    `symbol` is the unified form (`BTC/USDT`, perpetuals `BTC/USDT:USDT`), `market` is `spot` or `usdm`.
    `skips_sequence` says that the venue's book sequence leaves numbers out. `contract_size` is base units per contract where the
    venue writes amounts in contracts, else 1; one lot is the smallest amount in either case.
    """

    exchange: str
    market: str
    symbol: str
    base: str
    quote: str
    tick_decimals: int
    lot_decimals: int
    skips_sequence: bool = False
    contract_size: float = 1.0

    @property
    def pair(self) -> str:
        """The symbol without its settlement currency: `BTC/USDT` for `BTC/USDT:USDT`."""
        return self.symbol.partition(":")[0]

    def price(self, ticks: int) -> float:
        return float(ticks / 10**self.tick_decimals)

    def amount(self, lots: int) -> float:
        return float(lots / 10**self.lot_decimals)


def listing(exchange: str, market: str, rows: Iterable[tuple[str, str, int, int]], *, settled: bool = False) -> tuple[Instrument, ...]:
    """Instruments from (base, quote, tick decimals, lot decimals); `settled` makes perpetuals that settle in their quote."""
    return tuple(
        Instrument(exchange, market, f"{base}/{quote}:{quote}" if settled else f"{base}/{quote}", base, quote, ticks, lots)
        for base, quote, ticks, lots in rows
    )


def choose(catalogue: Sequence[Instrument], symbols: Iterable[str] | None, *, default: Iterable[str]) -> list[Instrument]:
    """The instruments of a venue's catalogue that carry one of the symbols (perpetuals answer to their pair too)."""
    wanted = set(default if symbols is None else symbols)
    return [item for item in catalogue if item.symbol in wanted or item.pair in wanted]


def require_known(symbols: Iterable[str], catalogues: Iterable[Sequence[Instrument]]) -> None:
    """Raise UnknownSymbol for the first symbol that none of the catalogues has."""
    known = {name for catalogue in catalogues for item in catalogue for name in (item.symbol, item.pair)}
    for symbol in symbols:
        if symbol not in known:
            raise UnknownSymbol("symbol", symbol, expected=", ".join(sorted(known)))
