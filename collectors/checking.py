"""`tickhouse check`: one exchange collected for real for half a minute into a home that is thrown away, and what came of each stream.

Put here: running the collector for a while, reading off what it knows, and the sentences about what is wrong. Keep out: printing.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from collectors.config import MarketsConfig
from collectors.connection import Connection
from collectors.link import now_us
from collectors.runtime import Collector
from collectors.settings import CollectorSettings
from collectors.venue import Checksums, Venue, Wanted
from collectors.watch import NEVER_SILENT, StreamCount, StreamKey
from lake.settings import LakeSettings


class CheckedStream(msgspec.Struct, kw_only=True):
    """One channel of one symbol. `acknowledged` by the venue's answer, or by its rows where it sends none that names the stream."""

    symbol: str
    channel: str
    connection: str
    subscribed: bool
    acknowledged: bool
    rows: int
    gaps: int
    last_message_seconds: float | None
    """Age of the newest row, None where none has come."""
    refused: str = ""
    """Why the venue refuses it."""


class CheckedConnection(msgspec.Struct, kw_only=True):
    """One planned socket; checksums are those of the socket that stood at the end."""

    name: str
    url: str
    state: str
    frames: int
    dead_letters: int
    reconnects: int
    checksums_verified: int
    checksums_failed: int


class CheckReport(msgspec.Struct, kw_only=True):
    """What came of an exchange in `seconds`; `problems` are sentences, empty where all is well."""

    exchange: str
    seconds: float
    connections: list[CheckedConnection]
    streams: list[CheckedStream]
    problems: list[str]


def examples(venue: Venue) -> tuple[str, ...]:
    """Symbols that are checked when none is named: the known one of each market, contracts with a date left out, as they end."""
    return tuple(facts.example.symbol for facts in venue.facts.markets if "-" not in facts.example.symbol)


def narrowed(wanted: Wanted | None, venue: Venue, symbols: Sequence[str]) -> Wanted:
    """What is to be checked: `symbols`, else what the configuration wants of the exchange, else the known ones; raises `UnknownSymbol`."""
    for symbol in symbols:
        venue.market_of(symbol)
    base = wanted or Wanted(symbols=examples(venue), channels=tuple(venue.channels))
    return replace(base, symbols=tuple(dict.fromkeys(symbols))) if symbols else base


def check(venue: Venue, wanted: Wanted, *, seconds: float, settings: CollectorSettings) -> CheckReport:
    """Collect what is wanted of one exchange for `seconds`, and report.

    Raises what the collector raises when nothing can help: `UnknownSymbol` for a symbol the venue does not list, `LakeError`.
    """
    with tempfile.TemporaryDirectory(prefix="tickhouse-check-") as home:
        collector = Collector(
            LakeSettings(home=Path(home)),
            settings,
            config=MarketsConfig({venue.exchange: wanted}),
            venues={venue.exchange: venue},
        )
        return asyncio.run(_run(collector, venue, seconds))


async def _run(collector: Collector, venue: Venue, seconds: float) -> CheckReport:
    running = asyncio.create_task(collector.run())
    try:
        await asyncio.wait([running], timeout=seconds)
        report = _report(collector, venue, seconds)
        if not running.done():
            collector.stop()
        await running
    finally:
        running.cancel()
    return report


def _report(collector: Collector, venue: Venue, seconds: float) -> CheckReport:
    # What arrived since the last flush counts too.
    collector.watch.observe(collector.events.drain())
    now = now_us()
    acknowledged = collector.events.continuity(venue.exchange).acknowledged
    streams = [
        _stream(key, count, collector.connections[count.connection], acknowledged, now=now)
        for key, count in sorted(collector.watch.streams.items())
        if count.connection in collector.connections
    ]
    connections = [_connection(each) for each in collector.connections.values()]
    report = CheckReport(exchange=venue.exchange, seconds=seconds, connections=connections, streams=streams, problems=[])
    report.problems = _problems(report, venue)
    return report


def _stream(key: StreamKey, count: StreamCount, connection: Connection, acknowledged: set[tuple[str, str]], *, now: int) -> CheckedStream:
    _, channel, symbol = key
    return CheckedStream(
        symbol=symbol,
        channel=channel,
        connection=count.connection,
        subscribed=connection.connected_since is not None,
        acknowledged=(symbol, channel) in acknowledged or count.rows > 0,
        rows=count.rows,
        gaps=count.gaps,
        last_message_seconds=None if count.last_event is None else round((now - count.last_event) / 1e6, 3),
        refused=count.refused,
    )


def _connection(connection: Connection) -> CheckedConnection:
    checksums = getattr(connection.link.session, "checksums", None) if connection.link is not None else None
    counted = checksums if isinstance(checksums, Checksums) else Checksums()
    return CheckedConnection(
        name=connection.plan.name,
        url=connection.plan.url,
        state=connection.state,
        frames=connection.frames.frames,
        dead_letters=connection.frames.dead_letters,
        reconnects=connection.reconnects,
        checksums_verified=counted.verified,
        checksums_failed=counted.failed,
    )


def _problems(report: CheckReport, venue: Venue) -> list[str]:
    if not report.connections:
        return [f"{venue.exchange} told no instruments in {report.seconds:g} seconds: nothing was subscribed, the log says why"]
    problems = []
    for each in report.connections:
        if each.state != "connected":
            problems.append(f"{each.name} is {each.state} after {report.seconds:g} seconds, expected a socket to {each.url}")
        if each.dead_letters:
            problems.append(f"{each.name} could not decode {each.dead_letters} of {each.frames} frames")
        if each.checksums_failed:
            problems.append(f"{each.name} found {each.checksums_failed} checksums wrong, {each.checksums_verified} right")
    for stream in report.streams:
        where = f"{stream.channel} of {stream.symbol}"
        if stream.refused:
            problems.append(f"{where} was refused: {stream.refused}")
        elif stream.subscribed and stream.channel in NEVER_SILENT and not stream.acknowledged:
            problems.append(f"{where} was subscribed, but neither an acknowledgement nor a row has come")
        elif stream.subscribed and stream.channel == "book" and not stream.rows:
            problems.append(f"{where} was acknowledged, but no book has come")
        if stream.gaps:
            problems.append(f"{where} had {stream.gaps} gap{'s' if stream.gaps > 1 else ''}")
    return problems
