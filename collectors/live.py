"""What the sessions of all live sockets do alike: time passes, requests fail, missed trades are fetched, the socket ends.

Put here: what needs somebody to answer and no protocol. Keep out: frames, commands and request URLs (venues), when trades are fetched
(healing.py, unreadable.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from collectors.continuity import Gap
from collectors.feeds import TradeFeed
from collectors.healing import Healer
from collectors.logs import logger
from collectors.pages import Missing, Page
from collectors.session import BaseSession
from collectors.unreadable import LookBehind
from collectors.venue import ConnectionPlan, HttpGet

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


class LiveBase(BaseSession):
    """Stands before the session of a venue that knows what frames mean: `class LiveSession(LiveBase, VenueSession)`.

    Call `attend` last in `__init__`. Times are microseconds since 1970.
    """

    plan: ConnectionPlan
    healer: Healer
    behind: LookBehind | None = None
    """Looks for trades behind frames that nobody could read, where the venue's ids do not tell them missing (`looks_behind`)."""

    def attend(self, plan: ConnectionPlan, *, heals: bool = True, looks_behind: bool = False) -> None:
        """Take up what is planned; without `heals` this socket fetches no trades."""
        self.plan = plan
        self._natives = {each.symbol: each.native for each in plan.instruments}
        self._mine = frozenset(self._natives.values())
        self.healer = Healer(self, self._trade_page, symbols=self._natives if heals else ())
        self.behind = LookBehind(self._fetch_newest) if looks_behind else None
        self._log: FilteringBoundLogger = logger(exchange=plan.exchange, connection=plan.name)

    def admits(self, native: str) -> bool:
        return native in self._mine

    def holes(self) -> Callable[[TradeFeed, Gap], None]:
        return self.healer.look

    def opened(self, now: int | None) -> None:
        """The socket opened. Venue sessions subscribe then."""
        if now is not None:
            self.see(now)
            if self.behind is not None:
                self.behind.opened(now)

    def unreadable(self, received: int | None) -> None:
        """A frame could not be decoded."""
        if self.behind is not None:
            self.behind.unreadable(received)

    def http_failed(self, request: HttpGet, reason: str, now: int) -> None:
        """Missed trades are asked for again later; what is polled comes round again."""
        if request.purpose == "trades":
            self.healer.failed(request, now)
        self._log.info("request failed", purpose=request.purpose, symbol=request.symbol, reason=reason)

    def tick(self, now: int) -> None:
        """Time passed."""
        self.see_time(now)
        self.tick_books(now)
        self.confirm_trades(now)
        self.healer.tick(now)
        if self.behind is not None:
            self.behind.tick(now)

    def closed(self, now: int | None) -> None:
        """The socket is gone."""
        super().closed(now)
        self.healer.closed()

    def _trade_page(self, missing: Missing, last: Page | None) -> HttpGet | None:
        """What asks for the next page of missed trades; None where there is none. Venue sessions answer this."""
        raise NotImplementedError

    def _newest(self, symbol: str) -> HttpGet:
        """What asks for the newest trades of a symbol. Venue sessions that look behind unreadable frames answer this."""
        raise NotImplementedError

    def _fetch_newest(self) -> Iterable[str]:
        """Ask for the newest trades of all symbols: an unreadable frame held some of one of them, or none. Returns the symbols."""
        self.actions += [self._newest(symbol) for symbol in self.trade_feeds]
        return self.trade_feeds
