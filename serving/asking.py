"""The parameters requests share, and how they become a question.

Put here: ranges, markets, columns, limits and cursors as they are sent. Keep out: statements (`serving.tables`), routes (`serving.rest`).
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import pyarrow as pa
from fastapi import Header, Query
from fastapi.responses import Response

from serving import answers, render
from serving.errors import BadRequest
from serving.reader import Reader
from serving.settings import ServingSettings
from serving.symbols import exchange_id
from serving.tables import TABLES, By, Question, Table, candles, indicators
from serving.times import iso, now_us, parse_instant

_MOST_NAMED: Final = 50

Exchange = Annotated[
    str | None, Query(description="Exchange id, or several with commas between; every exchange where left out.", max_length=500)
]
Symbol = Annotated[
    str | None,
    Query(description="BTC/USDT, BTC-USDT or the exchange's own name as BTCUSDT; several with commas between.", max_length=2000),
]
Start = Annotated[
    str | None,
    Query(description="From this instant on: ISO 8601, microseconds since 1970, now, or -15m.", max_length=60, examples=["-15m"]),
]
End = Annotated[str | None, Query(description="Up to before this instant; now where left out.", max_length=60, examples=["now"])]
Limit = Annotated[int | None, Query(description="Most rows of the page.", ge=1)]
CursorText = Annotated[str | None, Query(description="`next` of the page before, for the page after it.", max_length=4000)]
Columns = Annotated[str | None, Query(description="Columns wanted, with commas between; all where left out.", max_length=2000)]
Order = Annotated[Literal["asc", "desc"], Query(description="Oldest first, or newest first.")]
ByTime = Annotated[
    Literal["exchange", "receive"] | None,
    Query(description="Which time the range speaks of: the exchange's, or our receiving (the rule for books and alerts)."),
]
Accept = Annotated[str | None, Header(description="application/json, application/vnd.apache.arrow.stream or text/csv.")]


class RangeParameters:
    """What every question over a range may say."""

    def __init__(
        self,
        *,
        start: Start = None,
        end: End = None,
        limit: Limit = None,
        cursor: CursorText = None,
        columns: Columns = None,
        order: Order = "asc",
        by: ByTime = None,
        accept: Accept = None,
    ) -> None:
        self.start = start
        self.end = end
        self.limit = limit
        self.cursor = cursor
        self.columns = columns
        self.order = order
        self.by: By | None = by
        self.accept = accept

    def limit_within(self, settings: ServingSettings) -> int:
        """Rows of the page. Raises `BadRequest` for more than allowed."""
        asked = settings.api_rows if self.limit is None else self.limit
        if asked > settings.api_rows_max:
            raise BadRequest(f"limit is {asked}, expected at most {settings.api_rows_max}: ask page by page with `cursor`")
        return min(asked, settings.api_rows_max)

    def range_of(self, span_us: int) -> tuple[int, int]:
        """The range asked for, in microseconds. Raises `BadRequest`."""
        end = now_us() if self.end is None else parse_instant(self.end, name="end")
        start = max(0, end - span_us) if self.start is None else parse_instant(self.start, name="start")
        if start > end:
            raise BadRequest(f"start is {iso(start)}, expected at most end, which is {iso(end)}")
        return start, end


def split(text: str | None, *, name: str) -> tuple[str, ...]:
    """Values with commas between. Raises `BadRequest` for too many."""
    found = tuple(dict.fromkeys(each.strip() for each in (text or "").split(",") if each.strip()))
    if len(found) > _MOST_NAMED:
        raise BadRequest(f"{name} names {len(found)} values, expected at most {_MOST_NAMED}")
    return found


async def market(reader: Reader, exchange: str | None, symbol: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Exchange ids and unified symbols of what a request names. Raises `BadRequest`."""
    return await reader.call(lambda: market_now(reader, exchange, symbol))


def market_now(reader: Reader, exchange: str | None, symbol: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """As `market`, in the thread of the caller."""
    exchanges = tuple(exchange_id(each) for each in split(exchange, name="exchange"))
    named = split(symbol, name="symbol")
    if not named:
        return exchanges, ()
    index = reader.symbols()
    only = exchanges[0] if len(exchanges) == 1 else None
    return exchanges, tuple(dict.fromkeys(index.resolve(each, exchange=only) for each in named))


def read_all(reader: Reader, what: str, asked: dict[str, str]) -> pa.Table:
    """Every row of a table over a range, asked for with the parameters of the API as text, without pages. Raises `BadRequest`."""
    timeframe = asked.get("timeframe", "1m")
    timed = {"candles": candles, "indicators": indicators}
    if what not in timed and what not in TABLES:
        raise BadRequest(f"table is {what[:40]!r}, expected one of {', '.join((*timed, *TABLES))}")
    table = timed[what](timeframe) if what in timed else TABLES[what]
    given = RangeParameters(start=asked.get("start"), end=asked.get("end"))
    start, end = given.range_of(table.span_us)
    exchanges, symbols = market_now(reader, asked.get("exchange"), asked.get("symbol"))
    columns = columns_of(table, asked.get("columns"))
    by: By = "receive" if (asked.get("by") or table.default_by) == "receive" else "exchange"
    question = Question(
        table=table,
        start=start,
        end=end,
        exchanges=exchanges,
        symbols=symbols,
        where=tuple((name, asked[name]) for name in table.filters if name in asked),
        by=by,
        newest_first=asked.get("order") == "desc",
    )
    sql, parameters = question.statement()
    return reader.rows_now(sql, parameters, together=question.views).select(columns or table.columns)


def columns_of(table: Table, text: str | None) -> tuple[str, ...]:
    """The columns named. Raises `BadRequest` for one the table does not have."""
    named = tuple(dict.fromkeys(each.strip() for each in (text or "").split(",") if each.strip()))
    unknown = [each for each in named if each not in table.columns]
    if unknown:
        raise BadRequest(f"column {unknown[0][:60]!r} is unknown, expected some of {', '.join(table.columns)}")
    return named


async def answer(
    reader: Reader,
    settings: ServingSettings,
    table: Table,
    *,
    given: RangeParameters,
    exchange: str | None,
    symbol: str | None,
    where: tuple[tuple[str, str], ...] = (),
) -> Response:
    """One page of rows, in the format asked for, with the cursor of the next."""
    media = render.chosen(given.accept)
    limit = given.limit_within(settings)
    start, end = given.range_of(table.span_us)
    exchanges, symbols = await market(reader, exchange, symbol)
    values: dict[str, Any] = {
        "table": table,
        "exchanges": exchanges,
        "symbols": symbols,
        "where": where,
        "by": given.by or table.default_by,
        "newest_first": given.order == "desc",
        "columns": columns_of(table, given.columns),
    }
    question = Question(start=start, end=end, **values)
    if given.cursor:
        after = question.cursor_of(given.cursor)
        question = Question(start=after.start, end=after.end, after=after, **values)
    return await reader.call(lambda: page(reader, question, limit, media))


def page(reader: Reader, question: Question, limit: int, media: str) -> Response:
    """As `answer`, in a thread of the reader."""
    sql, parameters = question.statement(limit + 1)
    found = reader.rows_now(sql, parameters, together=question.views)
    shown = found.slice(0, limit)
    following = question.cursor(shown).encode() if found.num_rows > limit else None
    shown = shown.select(question.columns or question.table.columns)
    bounds = {"start": iso(question.start), "end": iso(question.end)}
    return answers.table_response(shown, media, following=following, more=bounds)
