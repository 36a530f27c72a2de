"""Candles as exchanges publish them, through ccxt: the listing first, then what is missing, page by page.

Put here: one exchange's client, and asking several exchanges at once. Keep out: what is missing (`lake.transforms.missing`) and storing.

ccxt is imported when first used: it takes seconds, and nothing else needs it. One series that fails leaves the others, one exchange that
fails leaves the other exchanges.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit

from lake.transforms.missing import Window
from lake.transforms.timeframes import WIDTH_US
from sources.errors import SourceError, SourceRefused, UnexpectedAnswer
from sources.retrying import RetryPolicy, TryAgain

T = TypeVar("T")

PAGE_ROWS: Final = 500
"""Most candles of one request: venues that cut an answer shorter than they say still give this many (MEXC: 500 of its 1,000)."""
_COUNT_CONTRACTS: Final = frozenset({"mexc"})
SETTLE_SECONDS: Final = 5.0
"""A candle counts as closed this long after its end: venues still revise it for a moment."""

Row = tuple[str, str, str, int, float, float, float, float, float]
"""exchange, symbol, timeframe, open time (microseconds), open, high, low, close, volume (base units)."""
COLUMNS: Final = ("exchange", "symbol", "timeframe", "timestamp", "open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True, order=True)
class Series:
    """One series of candles."""

    exchange: str
    symbol: str
    timeframe: str

    def __str__(self) -> str:
        return f"{self.exchange} {self.symbol} {self.timeframe}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A series, and the windows in which candles of it are missing."""

    series: Series
    windows: tuple[Window, ...]


@dataclass(slots=True)
class Fetched:
    """What came: rows, the windows that were answered whole, and a sentence for each series or exchange that failed."""

    rows: list[Row] = field(default_factory=list)
    answered: dict[Series, list[Window]] = field(default_factory=dict)
    unlisted: list[Series] = field(default_factory=list)
    """Series whose symbol the exchange does not list, or whose timeframe it does not publish."""
    problems: dict[str, str] = field(default_factory=dict)

    def add(self, other: Fetched) -> None:
        """Take in what came from another exchange."""
        self.rows += other.rows
        self.answered |= other.answered
        self.unlisted += other.unlisted
        self.problems |= other.problems


class ExchangeClient:
    """One exchange through ccxt, throttled by it; use it in a `with` block, in one thread. `SourceRefused` for an id ccxt does not know."""

    def __init__(
        self,
        exchange: str,
        *,
        retry: RetryPolicy,
        urls: Mapping[str, str] | None = None,
        contracts: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        import ccxt

        if exchange not in ccxt.exchanges:
            raise SourceRefused(f"exchange {exchange!r} is unknown to ccxt, expected one of its ids, such as binance or bybit")
        self.exchange = exchange
        self._errors: Any = ccxt
        self._retry = retry
        self._clock = clock
        self._client: Any = getattr(ccxt, exchange)({"enableRateLimit": True})
        # The list of currencies is not needed, and some venues want a key for it.
        self._client.has["fetchCurrencies"] = False
        _narrow(self._client.options.get("fetchMarkets"), contracts=contracts)
        self._client.urls["api"] = _moved(self._client.urls["api"], urls or {}, hostname=getattr(self._client, "hostname", None) or "")
        limits = self._client.features.get("spot") if self._client.features else None
        most = ((limits or {}).get("fetchOHLCV") or {}).get("limit") or PAGE_ROWS
        self.page_rows = min(PAGE_ROWS, int(most))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *trouble: object) -> None:
        self._client.session.close()

    def has(self, timeframe: str) -> bool:
        """Whether the exchange publishes candles of a timeframe."""
        return timeframe in (self._client.timeframes or {})

    def symbols(self) -> frozenset[str]:
        """The symbols that are listed now, unified. Raises `SourceUnavailable`, `SourceRefused`."""
        return frozenset(self._ask(lambda: self._client.load_markets(True), what=f"{self.exchange} listing"))  # noqa: FBT003 - ccxt's own signature

    def candles(self, series: Series, window: Window) -> list[Row]:
        """Closed candles that open in a window, in order of time. Raises `SourceUnavailable`, `SourceRefused`, `UnexpectedAnswer`."""
        width = WIDTH_US[series.timeframe]
        end = min(window.end, int((self._clock() - SETTLE_SECONDS) * 1_000_000) // width * width)
        found: dict[int, Row] = {}
        since = window.start
        while since < end:
            until = min(end, since + self.page_rows * width)
            page = self._page(series, since, until, width)
            found |= {row[3]: row for row in page}
            # What an answer ends short of is asked for once more; where nothing came, there is nothing.
            since = min(until, page[-1][3] + width) if page else until
        return [found[opened] for opened in sorted(found)]

    def _page(self, series: Series, since: int, until: int, width: int) -> list[Row]:
        def ask() -> list[list[Any]]:
            asked = {"until": until // 1000 - 1}
            answer: list[list[Any]] = self._client.fetch_ohlcv(
                series.symbol, series.timeframe, since=since // 1000, limit=(until - since) // width, params=asked
            )
            return answer

        rows = sorted(self._ask(ask, what=f"{series}"))
        names = (series.exchange, series.symbol, series.timeframe)
        within = [row for row in rows if since <= row[0] * 1000 < until]
        if any(row[0] * 1000 % width for row in within):
            raise UnexpectedAnswer(f"{series} opens at odd times, expected multiples of {series.timeframe} in UTC")
        if any(value is None for row in within for value in row[:6]):
            raise UnexpectedAnswer(f"{series} has candles without a price or a volume, expected all six numbers")
        unit = self._unit(series.symbol)
        return [
            (*names, int(opened) * 1000, float(first), float(high), float(low), float(last), float(volume) * unit)
            for opened, first, high, low, last, volume in (row[:6] for row in within)
        ]

    def _unit(self, symbol: str) -> float:
        """What the volume of a candle is multiplied with to be in base units: a few venues count contracts."""
        market = self._client.markets[symbol]
        return float(market["contractSize"] or 1.0) if market["contract"] and self.exchange in _COUNT_CONTRACTS else 1.0

    def _ask(self, call: Callable[[], T], *, what: str) -> T:
        def attempt() -> T:
            try:
                return call()
            except self._errors.NetworkError as error:
                raise TryAgain(_short(error), wait=self._asked_wait(error)) from None
            except self._errors.BaseError as error:
                raise SourceRefused(f"{what} was refused: {_short(error)}") from None

        return self._retry.run(attempt, what=what)

    def _asked_wait(self, error: Exception) -> float | None:
        """Seconds of Retry-After, where a venue that had too many requests says so."""
        if not isinstance(error, self._errors.DDoSProtection):
            return None
        headers = {str(name).lower(): str(value) for name, value in (self._client.last_response_headers or {}).items()}
        given = headers.get("retry-after", "")
        return float(given) if given.isdigit() else None


def fetch(
    wanted: Iterable[Wanted],
    *,
    retry: RetryPolicy,
    urls: Mapping[str, str] | None = None,
    clock: Callable[[], float] = time.time,
) -> Fetched:
    """Everything wanted, exchanges in parallel: first all listings, then the candles of what is listed."""
    by_exchange: dict[str, list[Wanted]] = {}
    for one in wanted:
        by_exchange.setdefault(one.series.exchange, []).append(one)
    whole = Fetched()
    if not by_exchange:
        return whole
    import ccxt  # noqa: F401 - once, before threads would import it at the same time

    clients: dict[str, ExchangeClient] = {}
    for exchange, ones in by_exchange.items():
        try:
            contracts = any(":" in one.series.symbol for one in ones)
            clients[exchange] = ExchangeClient(exchange, retry=retry, urls=urls, contracts=contracts, clock=clock)
        except SourceError as error:
            whole.problems[exchange] = str(error)
    try:
        with ThreadPoolExecutor(max_workers=max(1, len(clients)), thread_name_prefix="candles") as pool:
            listings = dict(zip(clients, pool.map(_listing, clients.values()), strict=True))
            whole.problems |= {exchange: answer for exchange, answer in listings.items() if isinstance(answer, str)}
            ready = [(clients[name], by_exchange[name], answer) for name, answer in listings.items() if not isinstance(answer, str)]
            for found in pool.map(lambda each: _of_exchange(*each), ready):
                whole.add(found)
    finally:
        for client in clients.values():
            client.__exit__()
    return whole


def _listing(client: ExchangeClient) -> frozenset[str] | str:
    try:
        return client.symbols()
    except SourceError as error:
        return str(error)


def _of_exchange(client: ExchangeClient, wanted: Sequence[Wanted], symbols: frozenset[str]) -> Fetched:
    found = Fetched()
    for one in wanted:
        if one.series.symbol not in symbols or not client.has(one.series.timeframe):
            found.unlisted.append(one.series)
            continue
        try:
            for window in one.windows:
                found.rows += client.candles(one.series, window)
                found.answered.setdefault(one.series, []).append(window)
        except SourceError as error:
            found.problems[str(one.series)] = str(error)
    return found


def _narrow(markets: Any, *, contracts: bool) -> None:
    """Have ccxt list spot alone, and linear contracts where wanted: each kind is a request of its own."""
    types = markets.get("types") if isinstance(markets, dict) else None
    if isinstance(types, list):
        markets["types"] = [each for each in types if each == "spot" or (contracts and each in {"linear", "swap"})]
    elif isinstance(types, dict) and not contracts:
        markets["types"] = {"spot": True}


def _moved(urls: Any, replaced: Mapping[str, str], *, hostname: str) -> Any:
    """The tree of addresses, with those that begin with a replaced prefix moved."""
    if isinstance(urls, dict):
        return {key: _moved(value, replaced, hostname=hostname) for key, value in urls.items()}
    address = str(urls).replace("{hostname}", hostname)
    for real, other in sorted(replaced.items(), key=lambda pair: -len(pair[0])):
        if address == real or address.startswith(f"{real.rstrip('/')}/"):
            return other.rstrip("/") + address.removeprefix(real.rstrip("/"))
    return address


def _short(error: Exception) -> str:
    """An error of ccxt in one line, without the address (it says nothing that the series does not)."""
    words = [word for word in str(error).split() if not urlsplit(word).netloc]
    return f"{type(error).__name__}: {' '.join(words)}"[:300]
