"""Which sockets Binance needs for what is wanted, and which streams each carries.

Put here: stream names, the split of USD-M by path, limits per socket. Keep out: decoding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from collectors.errors import UnknownSymbol
from collectors.venue import ConnectionPlan, Instrument, Stream, Wanted
from collectors.venues.binance.instruments import EXCHANGE

MAX_AGE: Final = 23 * 3600.0
"""The venue cuts sockets after 24 hours."""

STREAMS: Final[Mapping[tuple[str, str], str]] = {
    ("spot", "trades"): "{}@trade",
    ("spot", "book"): "{}@depth@100ms",
    ("usdm", "trades"): "{}@aggTrade",
    ("usdm", "book"): "{}@depth@100ms",
    ("usdm", "liquidations"): "{}@forceOrder",
    ("usdm", "derivatives"): "{}@markPrice@1s",
}
"""Stream name by market and channel; `{}` is the native id in lower case."""

_SOCKETS: Final = (
    ("spot", "spot", "spot_ws", "/stream", ("trades", "book"), 400),
    ("usdm-public", "usdm", "usdm_ws", "/public/stream", ("book",), 200),
    ("usdm-market", "usdm", "usdm_ws", "/market/stream", ("trades", "liquidations", "derivatives"), 198),
)
"""(name, market, endpoint, path, channels, most streams): USD-M serves each stream on one path only and is silent on the other."""


def plan(wanted: Wanted, instruments: Mapping[str, Instrument], endpoints: Mapping[str, str]) -> list[ConnectionPlan]:
    """Sockets for what is wanted; raises `UnknownSymbol` for a symbol that is not in `instruments`."""
    for symbol in wanted.symbols:
        if symbol not in instruments:
            raise UnknownSymbol(EXCHANGE, symbol, instruments)
    chosen = [instruments[symbol] for symbol in dict.fromkeys(wanted.symbols)]
    plans: list[ConnectionPlan] = []
    for name, market, endpoint, path, carried, most in _SOCKETS:
        channels = [channel for channel in carried if channel in wanted.channels]
        here = [instrument for instrument in chosen if instrument.market == market]
        if not channels:
            continue
        for number, group in enumerate(_groups(here, size=most // len(channels))):
            plans.append(
                ConnectionPlan(
                    name=f"{EXCHANGE}-{name}-{number}",
                    exchange=EXCHANGE,
                    market=market,
                    url=f"{endpoints[endpoint]}{path}",
                    streams=tuple(Stream(channel, instrument.symbol) for instrument in group for channel in channels),
                    instruments=tuple(group),
                    max_age_seconds=MAX_AGE,
                )
            )
    return plans


def stream_names(plan: ConnectionPlan) -> dict[str, Stream]:
    """The venue's stream names a socket subscribes to, and what each carries."""
    natives = {instrument.symbol: instrument.native.lower() for instrument in plan.instruments}
    return {STREAMS[plan.market, stream.channel].format(natives[stream.symbol]): stream for stream in plan.streams}


def _groups(instruments: Iterable[Instrument], *, size: int) -> Iterator[list[Instrument]]:
    group: list[Instrument] = []
    for instrument in instruments:
        group.append(instrument)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
