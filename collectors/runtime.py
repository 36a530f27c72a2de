"""The collector: every wanted exchange flowing into the log, until it is told to stop.

Put here: starting, flushing, rolling, watching, stopping. Keep out: sockets (connection.py), protocols (venues), storage (lake).

One event loop does all of it. Each flush drains what has arrived into the log, together with the ledger rows that account for it;
a failing exchange only fails its own task.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Final

from collectors import status
from collectors.alerting import Alerting
from collectors.backoff import Backoff
from collectors.classify import Verdict, classify, is_expected
from collectors.config import MarketsConfig
from collectors.connection import Connection, ExchangeContext
from collectors.http import RestClient
from collectors.ledger import Counted, FrameCount, Ledger
from collectors.link import now_us
from collectors.listings import Lister, Listings
from collectors.logs import logger
from collectors.rawfiles import RawRecorder
from collectors.redundant import Pair, twin_of
from collectors.resume import Past
from collectors.rows import EventBuffer
from collectors.settings import CollectorSettings
from collectors.venue import ConnectionPlan, Venue
from collectors.watch import Watch
from collectors.watchdog import Watchdog
from lake.alerts.rules import Rule
from lake.errors import SealError
from lake.landing import Lag, Landing
from lake.settings import LakeSettings

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

WATCH_SECONDS: Final = 1.0


class Collector:
    """One collector process: sessions of every exchange of `config`, landing in the home of `lake`."""

    def __init__(
        self,
        lake: LakeSettings,
        settings: CollectorSettings,
        *,
        config: MarketsConfig,
        venues: Mapping[str, Venue],
        rules: Mapping[str, Rule] | None = None,
    ) -> None:
        self.lake = lake
        self.settings = settings
        self.config = config
        self.events = EventBuffer()
        self.watch = Watch(settings.silence)
        self.watchdog = Watchdog(self.watch, self.events)
        self.connections: dict[str, Connection] = {}
        self.log: FilteringBoundLogger = logger(collector=settings.collector)
        self._venues = {exchange: venues[exchange] for exchange in config.exchanges}
        self._ledger = Ledger()
        self._listers: dict[str, Lister] = {}
        self._rates = status.Rates()
        self._landing: Landing | None = None
        self._rules = rules or {}
        self._alerting: Alerting | None = None
        self._recorder = RawRecorder(lake.house, settings.collector) if settings.record else None
        self._append_wait = 0.0
        self._drained = time.monotonic()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Ask `run` to close the sockets, drain, seal and return."""
        self._stopping.set()

    async def run(self) -> None:
        """Collect until `stop`. Raises `ConfigError`, `LakeError` or whatever else retrying cannot help."""
        home = self.lake.house
        landing = self._landing = Landing(self.lake, self.settings.collector)
        try:
            await asyncio.to_thread(landing.recover)
            if self._recorder is not None:
                await asyncio.to_thread(self._recorder.start)
            if self._rules:
                self._alerting = await asyncio.to_thread(Alerting.warmed, home, self._rules, exchanges=self._venues, now=now_us())
            past = await asyncio.to_thread(Past, home, now=now_us(), hours=self.settings.resume_hours)
            await self._collect(past)
        finally:
            try:
                self._flush()
            finally:
                if self._recorder is not None:
                    await asyncio.to_thread(self._recorder.close)
                await asyncio.to_thread(landing.drain_and_close)
                self._publish("stopped")
        self.log.info("stopped")

    async def _collect(self, past: Past) -> None:
        """Run every task until one fails for good or the collector is stopped; all are down when this returns."""
        self.log.info("starting", exchanges=sorted(self._venues))
        tasks = {exchange: self._exchange(venue, past) for exchange, venue in self._venues.items()}
        await run_until_first(self._stopping.wait(), self._flushing(), self._watching(), *tasks.values())

    async def _exchange(self, venue: Venue, past: Past) -> None:
        """Keep one exchange flowing for ever, whatever befalls it."""
        log = logger(collector=self.settings.collector, exchange=venue.exchange)
        backoff = Backoff(self.settings.backoff)
        wanted = self.config.exchanges[venue.exchange]
        addresses = self.config.endpoints(venue)
        async with RestClient(venue.exchange, venue.limits, timeout=self.settings.request_timeout_seconds, endpoints=addresses) as rest:
            writer = self.events.writer(venue.exchange, f"{venue.exchange}-instruments")
            listings = Listings(writer, past.listings(venue.exchange))
            lister = Lister(venue=venue, wanted=wanted, endpoints=addresses, rest=rest, home=self.lake.house, listings=listings)
            self._listers[venue.exchange] = lister
            while True:
                try:
                    plans = lister.plans(await lister.fetch())
                    break
                except Exception as error:  # classify decides
                    if classify(error) is Verdict.FATAL:
                        raise
                    log.warning("instruments not available", reason=str(error), exc_info=None if is_expected(error) else error)
                await asyncio.sleep(backoff.next_delay())
            raw = None if self._recorder is None else self._recorder.tape(venue.exchange, wanted=wanted, events=self.events)
            context = ExchangeContext(venue, wanted, self.events, rest, self.settings, raw)
            self._expect_unlisted(venue.exchange, lister)
            mine: dict[str, list[Connection]] = {}

            def start(plans: list[ConnectionPlan]) -> list[Coroutine[Any, Any, None]]:
                """The connections of plans, known to everyone and ready to run."""
                lines = [self._line(plan, context) for plan in plans]
                self._expect(venue.exchange, plans)
                past.restore(self.events.continuity(venue.exchange), plans, self.events)
                self.watchdog.mark(venue.exchange)
                mine.update({line[0].plan.name: line for line in lines})
                self.watchdog.lines |= {line[0].plan.name: line for line in lines}
                connections = [connection for line in lines for connection in line]
                self.connections |= {connection.plan.name: connection for connection in connections}
                return [connection.run() for connection in connections]

            every = self.settings.instruments_hours * 3600
            await run_until_first(*start(plans), lister.keep(mine, every, start=start))

    def _expect_unlisted(self, exchange: str, lister: Lister) -> None:
        """Show wanted symbols that are no longer listed beside those that flow."""
        self.watch.unlisted[exchange] = lister.unlisted
        for symbol in sorted(lister.unlisted):
            for channel in lister.wanted.channels:
                self.watch.expect(exchange, channel, symbol, connection="")

    def _line(self, plan: ConnectionPlan, context: ExchangeContext) -> list[Connection]:
        """The connection of a plan, or both where two are wanted."""
        continuity = self.events.continuity(plan.exchange)
        continuity.merging = True
        if not context.wanted.redundant:
            return [Connection(plan, context)]
        continuity.redundant = True
        pair = Pair()
        return [Connection(each, context, pair=pair) for each in (plan, twin_of(plan))]

    def _expect(self, exchange: str, plans: list[ConnectionPlan]) -> None:
        for plan in plans:
            for stream in plan.streams:
                for symbol in (stream.symbol,) if stream.symbol else tuple(each.symbol for each in plan.instruments):
                    self.watch.expect(exchange, stream.channel, symbol, connection=plan.name)

    async def _flushing(self) -> None:
        """Drain into the log every `flush_seconds`, counted from start to start, so that a slow flush does not delay the next."""
        assert self._landing is not None
        due = time.monotonic()
        while True:
            due = max(due + self.lake.flush_seconds, time.monotonic())
            await asyncio.sleep(due - time.monotonic())
            self._flush()
            try:
                self._landing.maybe_roll()
            except SealError as error:
                # The segment stays in the log and is tried again at the next roll: landing goes on meanwhile.
                self.log.exception("part not written", reason=str(error))

    def _flush(self) -> None:
        """Everything that arrived, and the ledger rows that account for it, into the log."""
        assert self._landing is not None
        now = now_us()
        waited_since, self._drained = self._drained, time.monotonic()
        if self._alerting is not None:
            self._alerting.observe(self.events)
        batches = self.events.drain()
        counted = [Counted(each.plan.exchange, name, each.frames, each.writer.counts) for name, each in self.connections.items()]
        writers = {exchange: lister.listings.writer for exchange, lister in self._listers.items()}
        counted += [Counted(exchange, writer.connection, FrameCount(), writer.counts) for exchange, writer in writers.items()]
        ledger = self._ledger.batch(counted, now)
        self.watchdog.note_sockets()
        back = self.watch.observe(batches)
        if ledger is not None:
            batches["ledger"] = ledger
        if self._alerting is not None:
            batches |= self._alerting.take()
        if batches:
            self._landing.append(batches)
            self._append_wait = max(self._append_wait, time.monotonic() - waited_since)
        self.watchdog.heal(back, now)

    async def _watching(self) -> None:
        """Each second: streams that fell silent, and the status file."""
        while True:
            now = now_us()
            self.watchdog.check(now)
            if self._alerting is not None:
                self._alerting.listen(self.watch, now)
            self._publish("running")
            await asyncio.sleep(min(WATCH_SECONDS, self.settings.status_seconds))

    def _publish(self, state: str) -> None:
        now = now_us()
        connections = [status.connection_status(each) for each in self.connections.values()]
        lag = self._landing.lag() if self._landing else Lag(0.0, 0)
        status.write(
            self.lake.house,
            status.CollectorStatus(
                collector=self.settings.collector,
                pid=os.getpid(),
                time=now,
                state=state,
                connections=connections,
                streams=status.stream_statuses(self.watch, connections, self._rates.update(self.watch, now)),
                wal=status.LogStatus(lag_seconds=round(lag.seconds, 3), bytes=lag.bytes, append_wait_seconds=round(self._append_wait, 3)),
            ),
        )
        self._append_wait = 0.0


async def run_until_first(*coroutines: Coroutine[Any, Any, Any]) -> None:
    """Run all until the first ends, then cancel the rest and wait for them; raises what the first one raised."""
    tasks = [asyncio.ensure_future(each) for each in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
