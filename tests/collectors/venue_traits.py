"""What each venue's protocol lets anyone notice and repair: the expectations of the fault suite, one entry a simulated market.

Every number that differs from the default has a reason, and the venue's page in docs/venues says the same in its section "Faults".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

BASES = ("BTC", "ETH", "SOL", "XRP", "DOGE", "ADA", "LTC", "AVAX", "LINK", "DOT", "TRX", "UNI")
"""One base a fault, so that what one fault does to a symbol is not mistaken for another's doing."""

ROLES: Mapping[str, str] = {
    "untouched": "BTC",
    "drop_delta": "ETH",
    "duplicate": "SOL",
    "reorder": "XRP",
    "corrupt_book": "DOGE",
    "corrupt_trades": "ADA",
    "stall": "LTC",
    "bad_checksum": "AVAX",
    "duplicate_trades": "LINK",
    "slow_snapshot": "DOT",
    "http_429": "TRX",
    "id_reset": "UNI",
}
"""Fault to the base it is aimed at; slow_snapshot and http_429 come together with a lost delta, so that a new book is wanted."""


@dataclass(frozen=True, slots=True)
class Market:
    """One simulated market of a venue.

    `gaps` maps a role to the number of `gaps` rows it must leave (an int), or the numbers it may leave (a tuple); roles left out
    follow DEFAULT_GAPS. `unseen` names roles whose loss the protocol hides: rows may then be missing and the book may be wrong,
    with the reason. `heals` is False where the venue serves no trades that reach back over a cut.
    """

    market: str
    suffix: str
    gaps: Mapping[str, int | tuple[int, ...]] = field(default_factory=dict)
    unseen: Mapping[str, str] = field(default_factory=dict)
    heals: bool = True
    notice: bool = False
    """Whether the venue announces a shutdown, so that sockets are handed over without a gap."""
    counted: bool = False
    """Whether frames are counted over a whole socket, so that one that is lost puts all its books and trades in doubt: `gaps` says
    nothing then, and test_fault_suite.py derives the bounds from the frames that were lost."""
    bases: tuple[str, ...] = BASES

    def symbol(self, role: str) -> str:
        return ROLES[role] + self.suffix


DEFAULT_GAPS: Mapping[str, int | tuple[int, ...]] = {
    "untouched": 0,
    "drop_delta": 1,
    "duplicate": 0,
    # Two neighbours that changed places look like a loss until the second arrives; some venues' rules cannot tell.
    "reorder": (0, 1),
    "corrupt_book": 1,
    "corrupt_trades": 1,
    "stall": 1,
    "bad_checksum": 0,
    "duplicate_trades": 0,
    "slow_snapshot": 1,
    "http_429": 1,
    "id_reset": (0, 1),
}


READY: tuple[str, ...] = ("binance", "bitfinex", "bitget", "bybit", "coinbase", "gateio", "htx", "kraken", "kucoin", "mexc", "okx")
"""Exchanges that the suite runs; TICKHOUSE_FAULTS=name,name runs others."""

RATES: Mapping[str, float] = {"bitfinex": 500.0, "kraken": 250.0}
"""Messages a second and market where the usual ones would be too few: most of Bitfinex's are levels, checksums and second copies."""
USUAL_RATE = 130.0

TRADES_BEFORE: Mapping[str, int] = {"gateio": 40}
"""Trades of each symbol before the first fault, where more than a few are needed: ids of Gate.io's futures show a hole only once enough of
them have followed each other."""
FEW_TRADES = 10

LOSING_ROLES = ("drop_delta", "reorder", "corrupt_book", "corrupt_trades", "slow_snapshot", "http_429")
"""Roles that cost their socket one frame in the order of its count; a stall costs as many as it silences."""

_LOST_BOOK_FRAMES = ("drop_delta", "corrupt_book", "slow_snapshot", "http_429")
"""Roles in which one frame of a book is lost."""

_BITGET_GAPS: Mapping[str, int | tuple[int, ...]] = {"corrupt_trades": 0, "stall": (0, 1), "id_reset": 1}
_BY_LENGTH = "a silence is noticed by its length alone"
_BITGET_UNSEEN: Mapping[str, str] = {"corrupt_trades": "ids grow but leave numbers out", "stall": _BY_LENGTH}
_MEXC_GAPS: Mapping[str, int | tuple[int, ...]] = {"corrupt_trades": 0, "stall": (0, 1)}
_MEXC_UNSEEN: Mapping[str, str] = {"stall": _BY_LENGTH}

TRAITS: Mapping[str, tuple[Market, ...]] = {
    "binance": (
        Market("spot", "/USDT", notice=True),
        Market("usdm", "/USDT:USDT"),
    ),
    "bitget": (
        # Ids leave numbers out: a frame nobody could read opens no gap, but the newest trades are fetched behind it.
        Market("spot", "/USDT", gaps={"corrupt_trades": 0, "id_reset": 1}),
        Market("usdt-futures", "/USDT:USDT", gaps={"corrupt_trades": 0, "id_reset": 1}),
    ),
    "bybit": (
        # Spot serves its last sixty trades, too few for a cut at this rate; ids of contracts are UUIDs.
        Market("spot", "/USDT", gaps={"id_reset": 0}, heals=False),
        Market("linear", "/USDT:USDT", gaps={"corrupt_trades": 0, "id_reset": 0}),
    ),
    "bitfinex": (
        Market("spot", "/USD", notice=True, counted=True),
        Market("perp", "/USDT:USDT", notice=True, counted=True),
    ),
    "gateio": (
        Market("spot", "/USDT", notice=True, gaps={"id_reset": 0}),
        Market("usdt", "/USDT:USDT", notice=True, gaps={"id_reset": 0}),
    ),
    # Futures are products like any other; both at once would lose more books than eight messages a second renew in time.
    # Trades of a renewed subscription may come in the middle of a silence.
    "coinbase": (Market("spot", "/USD", gaps={"id_reset": 1, "stall": (1, 2)}),),
    # Behind the corrupt frame the newest trades of every symbol are fetched: rows of a silent stream too, which may hide its silence.
    "htx": (
        Market("spot", "/USDT", gaps={"corrupt_trades": 0, "stall": (0, 1), "id_reset": 1}),
        Market("linear", "/USDT:USDT", gaps={"corrupt_trades": 0, "stall": (0, 1), "id_reset": 1}),
    ),
    "kraken": (
        Market(
            "spot",
            "/USD",
            gaps={"bad_checksum": 1, "id_reset": 0, **dict.fromkeys(_LOST_BOOK_FRAMES, (0, 1))},
            unseen=dict.fromkeys(_LOST_BOOK_FRAMES, "a lost level below the best ten shows when it comes among them"),
        ),
        # The snapshot of trades that answers a renewed subscription may come in the middle of a silence.
        Market("futures", "/USD:USD", gaps={"id_reset": 1, "stall": (1, 2)}),
    ),
    # REST holds the newest hundred trades and no others, so that only short cuts of quiet markets are healed; else as HTX.
    "kucoin": tuple(
        Market(
            market,
            suffix,
            gaps={"corrupt_trades": 0, "stall": (0, 1), "id_reset": 1},
            unseen=dict.fromkeys(("corrupt_trades", "stall"), "No id tells a lost trade"),
            heals=False,
        )
        for market, suffix in (("spot", "/USDT"), ("futures", "/USDT:USDT"))
    ),
    "okx": (
        Market("spot", "/USDT", notice=True, gaps={"id_reset": 0}),
        Market("swap", "/USDT:USDT", notice=True, gaps={"id_reset": 0}),
    ),
    "mexc": (
        Market("spot", "/USDT", gaps=_MEXC_GAPS, unseen=_MEXC_UNSEEN),
        Market("perp", "/USDT:USDT", gaps=_MEXC_GAPS, unseen=_MEXC_UNSEEN, heals=False),
    ),
}
