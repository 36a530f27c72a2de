"""The instruments of an exchange over time: fetched at start and every few hours, landed where they changed, compared with what runs.

Put here: what of a list is news, symbols that vanish or come back, plans whose instruments changed. Keep out: asking for lists and
keeping them (instruments.py), parsing (venues), sockets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from collectors import instruments
from collectors.classify import Verdict, classify, is_expected
from collectors.connection import Connection
from collectors.http import RestClient
from collectors.instruments import InstrumentList
from collectors.link import now_us
from collectors.logs import logger
from collectors.rows import RowWriter
from collectors.venue import ConnectionPlan, Instrument, Venue, Wanted
from lake.paths import DAY_US, Home

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

STALE_SECONDS: Final = 300.0
"""After a list had to be taken from the cache the venue is asked again this soon."""
UNLISTED: Final = "no longer listed"

State: TypeAlias = tuple[object, ...]
"""An instrument as the columns of `listings` after `ordinal`."""
Known: TypeAlias = tuple[int, State]
"""When a state landed (microseconds), and the state."""
_STATUS: Final = -2
_MARKET: Final = 1


def state_of(instrument: Instrument) -> State:
    """The columns of `listings` after `ordinal`."""
    i = instrument
    contract = i.settle is not None
    status = "trading" if i.active else "halted"
    sizes = (i.tick_size, i.lot_size, i.contract_size)
    return (i.native, i.market, i.base, i.quote, i.settle, contract, not contract, i.inverse, *sizes, status, i.active)


class Listings:
    """What has landed of one exchange's instruments, by symbol; lands of each new list what differs, and everything once a day."""

    def __init__(self, writer: RowWriter, known: Mapping[str, Known]) -> None:
        self.writer = writer
        self._known = dict(known)
        self._log: FilteringBoundLogger = logger(exchange=writer.exchange)

    def take(self, listed: Mapping[str, Instrument], markets: Collection[str], *, now: int) -> int:
        """Land the news of a list of whole `markets`, received at `now`; returns the number of rows."""
        rows = 0
        for symbol, instrument in listed.items():
            rows += self._land(symbol, state_of(instrument), now)
        of_markets = [
            (symbol, state) for symbol, (_, state) in self._known.items() if state[_MARKET] in markets and state[_STATUS] != "gone"
        ]
        gone = [(symbol, state) for symbol, state in of_markets if symbol not in listed]
        if len(gone) * 2 > len(of_markets):
            self._log.warning("instrument list is half empty, nothing is taken for gone", before=len(of_markets), missing=len(gone))
            return rows
        return rows + sum(self._land(symbol, (*state[:_STATUS], "gone", False), now) for symbol, state in gone)

    def _land(self, symbol: str, state: State, now: int) -> bool:
        known = self._known.get(symbol)
        if known is not None and known[1] == state and now - known[0] < DAY_US:
            return False
        self._known[symbol] = (now, state)
        self.writer.listing(symbol, local=now, state=state)
        return True


@dataclass(slots=True, kw_only=True)
class Lister:
    """The instrument list of one exchange over the life of a collector."""

    venue: Venue
    wanted: Wanted
    endpoints: Mapping[str, str]
    rest: RestClient
    home: Home
    listings: Listings
    unlisted: set[str] = field(default_factory=set)
    """Wanted symbols that the venue listed once and lists no longer."""
    stale: bool = False
    log: FilteringBoundLogger = field(init=False)

    def __post_init__(self) -> None:
        self.log = logger(exchange=self.venue.exchange)

    async def fetch(self) -> InstrumentList:
        """The list as it is now, its news landed; raises what `instruments.fetch` raises."""
        markets = sorted({self.venue.market_of(symbol) for symbol in self.wanted.symbols})
        now = now_us()
        listed = await instruments.fetch(self.venue, self.endpoints, markets, rest=self.rest, home=self.home, now=now)
        self.stale = listed.stale_since is not None
        if listed.stale_since is not None:
            age = (now - listed.stale_since) / 3_600_000_000
            self.log.warning("instruments from the cache", age_hours=round(age, 2), reason=listed.failure)
        else:
            self.listings.take(listed.instruments, markets, now=now)
        return listed

    def plans(self, listed: InstrumentList) -> list[ConnectionPlan]:
        """Sockets for the wanted symbols that are listed; raises `UnknownSymbol` for one that never was."""
        self._note_unlisted(listed)
        return self._plan([symbol for symbol in self.wanted.symbols if symbol not in self.unlisted], listed)

    async def keep(
        self,
        lines: Mapping[str, Sequence[Connection]],
        every_seconds: float,
        *,
        start: Callable[[list[ConnectionPlan]], list[Coroutine[Any, Any, None]]],
    ) -> None:
        """Fetch the list again and again; `lines` are the connections that run, `start` gives those of further plans to be run here."""
        late: list[asyncio.Task[None]] = []
        number = 0
        try:
            while True:
                await _sleep_beside(late, min(every_seconds, STALE_SECONDS) if self.stale else every_seconds)
                try:
                    listed = await self.fetch()
                except Exception as error:  # classify decides
                    if classify(error) is Verdict.FATAL:
                        raise
                    self.log.warning("instruments not available", reason=str(error), exc_info=None if is_expected(error) else error)
                    continue
                if self.stale:
                    continue
                self.update(lines, listed)
                if plans := self._come_back(lines, listed):
                    number += 1
                    named = [replace(plan, name=f"{plan.name}-again{number}") for plan in plans]
                    late += [asyncio.ensure_future(each) for each in start(named)]
        finally:
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def update(self, lines: Mapping[str, Sequence[Connection]], listed: InstrumentList) -> None:
        """Note what vanished; give connections whose instruments changed the new ones, and a new socket that goes by them."""
        self._note_unlisted(listed)
        for line in lines.values():
            for connection in line:
                plan = connection.plan
                fresh = tuple(listed.instruments.get(each.symbol, each) for each in plan.instruments)
                changed = [new.symbol for old, new in zip(plan.instruments, fresh, strict=True) if _differs(old, new)]
                if changed:
                    self.log.warning("instruments changed", connection=plan.name, symbols=changed)
                    connection.plan = replace(plan, instruments=fresh)
                    connection.replace(f"{len(changed)} of its instruments changed, the first is {changed[0]}")

    def _come_back(self, lines: Mapping[str, Sequence[Connection]], listed: InstrumentList) -> list[ConnectionPlan]:
        """Plans for wanted symbols that no connection carries and that are listed again."""
        carried = {each.symbol for line in lines.values() for connection in line for each in connection.plan.instruments}
        return self._plan([symbol for symbol in self.wanted.symbols if symbol not in carried and symbol in listed.instruments], listed)

    def _plan(self, symbols: Sequence[str], listed: InstrumentList) -> list[ConnectionPlan]:
        return self.venue.plan(replace(self.wanted, symbols=tuple(symbols)), listed.instruments) if symbols else []

    def _note_unlisted(self, listed: InstrumentList) -> None:
        now = {symbol for symbol in self.wanted.symbols if symbol not in listed.instruments and symbol in listed.gone}
        for symbol in sorted(now - self.unlisted):
            self.log.warning("wanted symbol is no longer listed", symbol=symbol)
        for symbol in sorted(self.unlisted - now):
            self.log.info("wanted symbol is listed again", symbol=symbol)
        self.unlisted.clear()
        self.unlisted |= now


def _differs(old: Instrument, new: Instrument) -> bool:
    """Whether a session that goes by the one instrument would go wrong with the other."""
    return msgspec.structs.replace(old, active=new.active) != new


async def _sleep_beside(tasks: Collection[asyncio.Task[None]], seconds: float) -> None:
    """Sleep, unless one of the tasks ends: then raise what it raised."""
    if not tasks:
        await asyncio.sleep(seconds)
        return
    done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
