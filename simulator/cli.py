"""The command line: `serve` pretends to be the venues now, `history` writes what they would have sent.

What belongs here: arguments, putting the parts together, signals. What does not: behaviour of any part.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from simulator.context import sources
from simulator.engine import Engine
from simulator.errors import SimulatorError, UnknownSymbol
from simulator.faults import Faults, parse
from simulator.history import REELS, USUAL, Span, parse_gap, write_history
from simulator.instruments import Instrument, choose, require_known
from simulator.ledger import Ledger
from simulator.market import Market
from simulator.playback import Player, Served, load
from simulator.server import SimulatorServer, now_us
from simulator.streams import Hub
from simulator.venues import VENUES, Entry, Venue, entry

LIQUIDATIONS_PER_MINUTE = 6.0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="simulator", description="Pretends to be crypto exchanges.")
    commands = parser.add_subparsers(dest="command", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--seed", type=int, default=7, help="the same seed gives the same market")
    common.add_argument("--symbols", type=_names, default=None, help="unified symbols, comma separated (default: each venue's own)")

    serve = commands.add_parser("serve", parents=[common], help="serve WebSockets and REST on one port")
    serve.add_argument("--exchanges", type=_names, default=list(VENUES), help=f"comma separated, of {', '.join(VENUES)}")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=0, help="0 takes a free one")
    serve.add_argument("--rate", type=_positive, default=200.0, help="messages a second that a usual set of subscriptions brings")
    serve.add_argument("--ledger", type=Path, default=None, help="directory for trades.jsonl, liquidations.jsonl, faults.jsonl")
    serve.add_argument("--playback", type=Path, nargs="+", action="extend", default=[], help="recordings to play instead of simulating")
    serve.add_argument("--speed", type=float, default=1.0, help="of playback; 0 is as fast as possible")
    serve.add_argument("--fault", action="append", default=[], help="kind:exchange:symbol:channel:after_s[:duration_s]")
    serve.add_argument("--liquidations-per-minute", type=float, default=LIQUIDATIONS_PER_MINUTE)
    serve.add_argument("--weight-limit", type=int, default=None, help="REST request weight a minute (default: the venue's)")
    serve.add_argument("--weight-seconds", type=int, default=None, help="count request weight in this many seconds instead (binance)")

    history = commands.add_parser("history", parents=[common], help="write past hours as recorded frames to stdout")
    history.add_argument("--exchanges", type=_names, default=list(USUAL), help=f"comma separated, of {', '.join(REELS)}")
    history.add_argument("--hours", type=_positive, default=48.0)
    history.add_argument("--end", type=_instant, default=None, help="ISO 8601; default: the current hour's start")
    history.add_argument("--trades-per-minute", type=_positive, default=30.0, help="per symbol")
    history.add_argument("--book-updates-per-minute", type=_positive, default=12.0, help="per symbol")
    history.add_argument("--gap", action="append", default=[], help="EXCHANGE:SYMBOL:FROM_ISO:SECONDS left out; symbol * is all of it")
    return parser


def _names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _positive(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"was {text}: expected a number above 0")
    return value


def _instant(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"was {text!r}: expected ISO 8601") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def select(exchanges: Sequence[str], symbols: Sequence[str] | None) -> dict[str, list[Instrument]]:
    """Instruments per exchange; UnknownSymbol for a name that no chosen venue has."""
    entries = {name: entry(name) for name in exchanges}
    catalogues = {name: [*found.catalogue, *_invented(found, symbols or ())] for name, found in entries.items()}
    if symbols is not None:
        require_known(symbols, catalogues.values())
    return {name: choose(catalogues[name], symbols, default=found.default_symbols) for name, found in entries.items()}


def _invented(found: Entry, symbols: Sequence[str]) -> list[Instrument]:
    """Instruments of the symbols that a venue trades without having them in its catalogue."""
    made = [] if found.invented is None else [found.invented(symbol) for symbol in symbols]
    return [item for item in made if item is not None]


def build(options: argparse.Namespace) -> SimulatorServer:
    """Put a server together from parsed `serve` options; it does not listen yet."""
    chosen = select(options.exchanges, options.symbols)
    start_us = now_us()
    ledger = Ledger(options.ledger)
    faults = Faults(on_start=ledger.fault)
    hub = Hub(faults)
    served: list[Served] = [Served(name, entry(name).venue.endpoints) for name in chosen]
    recordings, unmatched = load(options.playback, served)
    if unmatched:
        sys.stderr.write(f"simulator: {unmatched} recorded lines belong to no endpoint that is served here\n")
    venues: list[Venue] = []
    players: dict[str, Player] = {}
    for name, instruments in chosen.items():
        found = entry(name)
        playing = name in recordings
        markets = [] if playing else [Market(item, seed=options.seed, start_us=start_us) for item in instruments]
        listed = list(found.catalogue) if playing else instruments
        venue = found.venue(markets, hub=hub, faults=faults, listed=listed, weight_limit=options.weight_limit)
        if options.weight_seconds is not None:
            venue.count_weight_in(options.weight_seconds)
        venues.append(venue)
        if playing:
            players[name] = Player(venue, recordings[name], speed=options.speed)
    engine = Engine(
        venues,
        hub=hub,
        faults=faults,
        ledger=ledger,
        messages_per_s=options.rate,
        liquidations_per_minute=options.liquidations_per_minute,
        seed=options.seed,
        start_us=start_us,
    )
    outside = sources(seed=options.seed, faults=faults)
    for text in options.fault:
        faults.arm(parse(text), now_us=start_us)
    return SimulatorServer(venues, engine=engine, hub=hub, faults=faults, ledger=ledger, players=players, sources=outside)


async def _serve(options: argparse.Namespace) -> int:
    server = build(options)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    await server.start(options.host, options.port)
    sys.stdout.write(json.dumps({"ready": True, "port": server.port, "endpoints": server.endpoints()}) + "\n")
    sys.stdout.flush()
    stopping = asyncio.create_task(stop.wait())
    failing = asyncio.create_task(server.wait_failed())
    await asyncio.wait({stopping, failing}, return_when=asyncio.FIRST_COMPLETED)
    failed = failing.exception() if failing.done() else None
    failing.cancel()
    stopping.cancel()
    if failed is not None:
        raise failed
    await server.close()
    return 0


def _history(options: argparse.Namespace) -> int:
    # Millions of short-lived strings and no cycles: collecting would cost a tenth of the time and find nothing.
    gc.disable()
    hour = 3_600
    end_s = options.end.timestamp() if options.end is not None else time.time() // hour * hour
    end_us = int(end_s * 1_000_000)
    span = Span(end_us - int(options.hours * hour * 1_000_000), end_us)
    for name in options.exchanges:
        if name not in REELS:
            raise UnknownSymbol("exchange", name, expected=", ".join(REELS))
    chosen = select(options.exchanges, options.symbols)
    write_history(
        sys.stdout,
        chosen,
        span=span,
        seed=options.seed,
        trades_per_minute=options.trades_per_minute,
        books_per_minute=options.book_updates_per_minute,
        gaps=[parse_gap(text) for text in options.gap],
    )
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 2 with one sentence on stderr where what was asked cannot be done."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "history":
            return _history(options)
        return asyncio.run(_serve(options))
    except SimulatorError as error:
        sys.stderr.write(f"simulator: {error}\n")
        return 2
    except BrokenPipeError:
        # The reader of a history has seen enough.
        return 0
