"""Trades that were missed, fetched over REST: page by page, again after growing waits, until nothing is missing or nobody has it.

Put here: when a gap is asked for, when it is healed, when it is given up; the same for every venue. Keep out: request URLs and what an
answer means: a session asks its own pages (`TradePages`), lands the rows through `TradeFeed`, and says that an answer came.

What a session does: for each answer with trades land the rows (`take_rest`, or `take_keyed` with `rest=True`) and call `answered`; all
else `LiveBase` (live.py) does for it. Gaps that an earlier socket or process left behind are found by `tick`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from collectors.continuity import Gap
from collectors.feeds import TradeFeed
from collectors.logs import logger
from collectors.pages import Missing, Page, TradePages
from collectors.session import BaseSession
from collectors.venue import HttpGet

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

LOOK_EVERY: Final = 500_000
FIRST_WAIT: Final = 1_000_000
LONGEST_WAIT: Final = 300_000_000
FRUITLESS: Final = 6
"""Passes in a row that end short without a new trade; then the venue does not have what is missing."""
LARGEST_HOLE: Final = 200_000
"""A hole of more trades stays a gap: fetching it would take the venue's request budget for hours."""
CLOCKS_APART: Final = 30_000_000
"""Of a gap whose last trade is not known any more, only our receive time is: the venue's own times lie around it."""


@dataclass(slots=True, kw_only=True)
class _Walk:
    """One walk through the pages of what is missing, and what they spanned so far."""

    gap: Gap
    feed: TradeFeed
    missing: Missing
    """As it was when the walk began."""
    url: str = ""
    last: Page | None = None
    span: Page = field(default_factory=Page)
    down: bool = False
    """True once a page was older than those before it."""

    @property
    def reaches_back(self) -> bool:
        """Whether the pages hold a trade from before the hole, or its very first."""
        missing, lowest = self.missing, self.span.lowest
        if missing.first is not None:
            return lowest is not None and lowest <= missing.first
        if missing.after is not None and lowest is not None:
            return lowest <= missing.after
        return self.span.oldest is not None and self.span.oldest <= missing.since

    @property
    def reaches_on(self) -> bool:
        """Whether the pages hold the trade that came after the hole."""
        missing, highest, newest = self.missing, self.span.highest, self.span.newest
        if missing.before is not None and highest is not None:
            return highest >= missing.before
        return not self.gap.fetching.quiet and newest is not None and newest >= missing.until

    @property
    def past_all(self) -> bool:
        """Whether pages that go down have passed the start of a hole without an end."""
        return self.down and self.gap.fetching.quiet and self.reaches_back

    def take(self, page: Page) -> None:
        """Add a page."""
        if self.span.oldest is not None and page.newest is not None:
            self.down = page.newest <= self.span.oldest
        self.last = page
        self.span.join(page)


class Healer:
    """Fetches the missed trades of the `symbols` of one session, one request a symbol at a time. Times are microseconds since 1970."""

    def __init__(self, session: BaseSession, pages: TradePages, *, symbols: Iterable[str]) -> None:
        self._session = session
        self._pages = pages
        self._symbols = tuple(dict.fromkeys(symbols))
        self._continuity = session.writer.continuity
        self._walks: dict[str, _Walk] = {}
        self._look_at = 0
        self._log: FilteringBoundLogger = logger(exchange=session.writer.exchange, connection=session.writer.connection)

    def look(self, feed: TradeFeed, gap: Gap) -> None:
        """A gap whose end is known was found by a trade feed."""
        del gap
        self._begin(feed.symbol, None)

    def tick(self, now: int) -> None:
        """Take up what waits: new gaps, those whose wait is over, those that an earlier socket or process left."""
        if now < self._look_at:
            return
        self._look_at = now + LOOK_EVERY
        gaps = self._continuity.gaps
        for symbol in self._symbols:
            if gaps.get((symbol, "trades")):
                self._begin(symbol, now)

    def answered(self, request: HttpGet, now: int | None) -> None:
        """The rows of an answer have landed: heal what is whole now, ask for the next page of what is not."""
        walk = self._walks.get(request.symbol)
        if walk is None or request.url != walk.url:
            return
        page = walk.feed.take_page()
        walk.take(page)
        if walk.missing.first is not None:
            walk.feed.mend(now)
        elif walk.reaches_back and walk.reaches_on:
            self._heal(walk, now)
        if walk.gap not in self._continuity.open_gaps(request.symbol, "trades"):
            self._release(request.symbol)
            self._begin(request.symbol, now)
        elif not page.rows or walk.past_all or not self._ask(walk):
            self._ended(walk, now)

    def failed(self, request: HttpGet, now: int) -> None:
        """A request for trades came to nothing: try again later, later each time, for as long as the gap is open."""
        walk = self._walks.get(request.symbol)
        if walk is None or request.url != walk.url:
            return
        walk.feed.take_page()
        fetching = walk.gap.fetching
        if not fetching.failures:
            self._log.info("missed trades not fetched yet", symbol=request.symbol)
        fetching.failures += 1
        fetching.retry_at = now + _wait(fetching.failures)
        self._release(request.symbol)

    def closed(self) -> None:
        """The session is over: its gaps are for the next one to take up."""
        for symbol in list(self._walks):
            self._release(symbol)

    def _begin(self, symbol: str, now: int | None) -> None:
        """Start with the oldest gap of a symbol that is due."""
        feed = self._session.trade_feeds.get(symbol)
        if symbol in self._walks or feed is None:
            return
        for gap in self._continuity.open_gaps(symbol, "trades"):
            fetching = gap.fetching
            waits = fetching.retry_at > (0 if now is None else now)
            if gap.to_time is None or waits or fetching.given_up or fetching.by is not None:
                continue
            missing = _missing(gap, feed)
            if (
                feed.contiguous
                and missing.after is not None
                and missing.before is not None
                and missing.before - missing.after > LARGEST_HOLE
            ):
                self._give_up(gap, f"it is of {missing.before - missing.after - 1} trades, more than {LARGEST_HOLE}")
                continue
            walk = _Walk(gap=gap, feed=feed, missing=missing)
            feed.take_page()
            if not self._ask(walk):
                self._give_up(gap, "the venue has no request for it")
                continue
            self._walks[symbol] = walk
            fetching.by = self
            return

    def _ask(self, walk: _Walk) -> bool:
        """Ask for the next page; False where there is none, or none that differs from the last."""
        request = self._pages(_missing(walk.gap, walk.feed), walk.last)
        if request is None or request.url == walk.url:
            return False
        walk.url = request.url
        self._session.actions.append(request)
        return True

    def _ended(self, walk: _Walk, now: int | None) -> None:
        """There is no further page and the gap is still open."""
        fetching = walk.gap.fetching
        symbol = walk.gap.symbol
        if fetching.quiet and (walk.reaches_back or not walk.span.rows):
            self._heal(walk, now)
        elif walk.span.rows and not walk.reaches_back:
            self._give_up(walk.gap, "what the venue still has begins later")
        else:
            # Its REST may be behind its stream.
            fetching.fruitless = 0 if walk.span.new else fetching.fruitless + 1
            if fetching.fruitless >= FRUITLESS:
                self._give_up(walk.gap, "the venue does not have what is missing")
            fetching.retry_at = (walk.gap.noticed if now is None else now) + _wait(fetching.fruitless + 1)
        self._release(symbol)

    def _heal(self, walk: _Walk, now: int | None) -> None:
        self._continuity.heal(self._session.writer, walk.gap, by="rest", now=walk.gap.noticed if now is None else now)

    def _give_up(self, gap: Gap, reason: str) -> None:
        """The gap stays open with its bounds, and is not asked for again."""
        gap.fetching.given_up = True
        self._log.warning("missed trades stay a gap", symbol=gap.symbol, reason=reason, after=gap.from_sequence, before=gap.to_sequence)

    def _release(self, symbol: str) -> None:
        walk = self._walks.pop(symbol, None)
        if walk is not None:
            walk.gap.fetching.by = None


def _missing(gap: Gap, feed: TradeFeed) -> Missing:
    after, before = gap.from_sequence, gap.to_sequence
    first = feed.tape.seen.after(after) if feed.contiguous and after is not None else None
    since = gap.from_time - CLOCKS_APART if gap.last_event is None else gap.last_event
    until = gap.from_time if gap.to_time is None else gap.to_time
    return Missing(symbol=gap.symbol, after=after, before=before, first=first, since=since, until=until)


def _wait(times: int) -> int:
    return min(LONGEST_WAIT, FIRST_WAIT << min(times - 1, 16))
