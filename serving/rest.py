"""The routes of `/v1` over what the lake holds.

Put here: addresses and what each answers. Keep out: parameters they share (`serving.asking`), SQL (`serving.tables`, `serving.picked`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import Response

from lake.transforms.timeframes import TIMEFRAMES
from serving import answers, picked, render, tables
from serving.asking import Accept, Exchange, Limit, RangeParameters, Symbol, answer, market, split
from serving.errors import BadRequest, NotFound
from serving.reader import Reader
from serving.settings import ServingSettings
from serving.symbols import exchange_id
from serving.tables import TABLES, Table
from serving.times import now_us, parse_instant

ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": answers.ErrorAnswer, "description": says}
    for status, says in (
        (400, "A parameter that cannot be understood."),
        (401, "No token, or a wrong one."),
        (404, "What is asked for does not exist."),
        (406, "No format that can be sent."),
        (409, "Not possible in the present state."),
        (422, "Too expensive: narrow the range."),
        (429, "Too many requests."),
    )
}
_FORMATS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Rows; `next` (header `Tickhouse-Next`) is the cursor of the next page.",
        "content": {
            render.JSON: {"schema": {"type": "object", "properties": {"rows": {"type": "array", "items": {"type": "object"}}}}},
            render.ARROW: {"schema": {"type": "string", "format": "binary"}},
            render.CSV: {"schema": {"type": "string"}},
        },
    }
}
_MANY: Final = {**ERRORS, **_FORMATS}

Range = Annotated[RangeParameters, Depends()]
Timeframe = Annotated[str, Query(description=f"One of {' '.join(TIMEFRAMES)}.", max_length=20)]
OneExchange = Annotated[str, Query(description="Exchange id.", max_length=60, examples=["binance"])]
OneSymbol = Annotated[str, Query(description="BTC/USDT, BTC-USDT or the exchange's own name.", max_length=200, examples=["BTC/USDT"])]
At = Annotated[str, Query(description="Instant: ISO 8601, microseconds since 1970, now, or -15m.", max_length=60)]


def _reader(request: Request) -> Reader:
    reader = request.app.state.reader
    assert isinstance(reader, Reader)
    return reader


def _settings(request: Request) -> ServingSettings:
    settings = request.app.state.settings
    assert isinstance(settings, ServingSettings)
    return settings


Reading = Annotated[Reader, Depends(_reader)]
Limits = Annotated[ServingSettings, Depends(_settings)]

Handler = Callable[..., Awaitable[Response]]


def _range_handler(table: Table) -> Handler:
    async def by_query(
        request: Request, reader: Reading, limits: Limits, given: Range, exchange: Exchange = None, symbol: Symbol = None
    ) -> Response:
        where = tuple((name, request.query_params[name][:200]) for name in table.filters if name in request.query_params)
        return await answer(reader, limits, table, given=given, exchange=exchange, symbol=symbol, where=where)

    return by_query


def _path_handler(table: Table) -> Handler:
    async def by_path(
        reader: Reading,
        limits: Limits,
        given: Range,
        exchange: Annotated[str, Path(max_length=60)],
        symbol: Annotated[str, Path(max_length=200)],
    ) -> Response:
        return await answer(reader, limits, table, given=given, exchange=exchange, symbol=symbol)

    return by_path


def _filters(table: Table) -> dict[str, Any]:
    listed = [
        {"name": name, "in": "query", "required": False, "schema": {"type": "string"}, "description": table.spec.column(name).comment}
        for name in table.filters
    ]
    return {"parameters": listed} if listed else {}


async def listings(
    reader: Reading,
    limits: Limits,
    exchange: Exchange = None,
    symbol: Symbol = None,
    active: Annotated[bool | None, Query(description="Only those that are traded, or only those that are not.")] = None,
    limit: Limit = None,
    accept: Accept = None,
) -> Response:
    """The newest state of every instrument."""
    media = render.chosen(accept)
    asked = RangeParameters(limit=limit).limit_within(limits) if limit is not None else limits.api_rows_max
    exchanges, symbols = await market(reader, exchange, symbol)
    sql, parameters = picked.listings(exchanges, symbols, active=active, limit=asked)
    return await reader.call(lambda: answers.table_response(reader.rows_now(sql, parameters), media))


async def candles(
    reader: Reading,
    limits: Limits,
    given: Range,
    timeframe: Timeframe = "1m",
    exchange: Exchange = None,
    symbol: Symbol = None,
    fill: Annotated[Literal["no", "yes"], Query(description="Also intervals without a trade (`is_filled`); one symbol, no cursor.")] = "no",
) -> Response:
    """Candles of any timeframe, up to the last trade."""
    table = tables.candles(timeframe)
    if fill == "no":
        return await answer(reader, limits, table, given=given, exchange=exchange, symbol=symbol)
    media = render.chosen(given.accept)
    start, end = given.range_of(table.span_us)
    limit = given.limit_within(limits)
    if (end - start) // tables.span_of(timeframe) > limit:
        raise BadRequest(
            f"the range holds more than {limit} intervals of {timeframe}, expected at most so many (limit) where they are filled"
        )
    exchanges, symbols = await market(reader, exchange, symbol)
    if len(symbols) != 1 or len(exchanges) > 1:
        raise BadRequest("fill is yes without one symbol and at most one exchange, expected a symbol beside it")
    sql, parameters = picked.filled(symbols[0], timeframe, start=start, end=end, exchange=exchanges[0] if exchanges else None)
    return await reader.call(lambda: answers.table_response(reader.rows_now(sql, parameters, limit=limit), media))


async def indicators(
    reader: Reading, limits: Limits, given: Range, timeframe: Timeframe = "1m", exchange: Exchange = None, symbol: Symbol = None
) -> Response:
    """The core suite of indicators on candles of a timeframe, as materialised."""
    return await answer(reader, limits, tables.indicators(timeframe), given=given, exchange=exchange, symbol=symbol)


async def book(
    reader: Reading,
    exchange: OneExchange,
    symbol: OneSymbol,
    at: At = "now",
    levels: Annotated[int, Query(ge=1, le=10_000)] = 50,
    accept: Accept = None,
) -> Response:
    """The whole book of one market as it stood for us at an instant, best levels first."""
    media = render.chosen(accept)
    moment = parse_instant(at, name="at")
    venue = exchange_id(exchange)
    _, symbols = await market(reader, venue, symbol)
    if len(symbols) != 1:
        raise BadRequest(f"symbol is {symbol[:60]!r}, expected one symbol")
    sql, parameters = picked.book(venue, symbols[0], moment, levels=levels)
    return await reader.call(lambda: answers.table_response(reader.rows_now(sql, parameters), media))


async def consolidated(reader: Reading, symbol: OneSymbol, at: At = "now", accept: Accept = None) -> Response:
    """The books of all exchanges of a symbol as one, at the end of the last whole minute before an instant."""
    media = render.chosen(accept)
    _, symbols = await market(reader, None, symbol)
    if len(symbols) != 1:
        raise BadRequest(f"symbol is {symbol[:60]!r}, expected one symbol")
    sql, parameters = picked.consolidated(symbols[0], parse_instant(at, name="at"))
    table = await reader.call(lambda: reader.rows_now(sql, parameters))
    if table.num_rows == 0:
        raise NotFound(f"no consolidated book of {symbols[0]} stands within the hour before that instant")
    return answers.table_response(table, media)


async def latest(
    reader: Reading,
    limits: Limits,
    of: Annotated[str, Query(description=f"What, with commas between: {', '.join(picked.LATEST)}.", max_length=300)] = "trades,books",
    exchange: Exchange = None,
    symbol: Symbol = None,
    timeframe: Timeframe = "1m",
    within: Annotated[str, Query(description="How far back to look, as -24h.", max_length=20)] = "-24h",
) -> Response:
    """The newest row of anything, of each exchange and symbol, all of one instant: `{"trades": [...], "candles": [...]}`."""
    wanted = split(of, name="of")
    unknown = [each for each in wanted if each not in picked.LATEST]
    if unknown or not wanted:
        raise BadRequest(f"of is {of[:60]!r}, expected some of {', '.join(picked.LATEST)}")
    exchanges, symbols = await market(reader, exchange, symbol)
    since, until = parse_instant(within, name="within"), now_us()
    if since > until:
        raise BadRequest(f"within is {within!r}, expected a time before now, as -24h")
    asked = [picked.newest(each, timeframe, start=since, end=until, exchanges=exchanges, symbols=symbols) for each in wanted]
    found = await reader.call(lambda: picked.together(reader, asked, limit=limits.api_rows_max))
    return Response(found, media_type=render.JSON)


def router() -> APIRouter:
    """All routes of `/v1` that read the lake."""
    made = APIRouter(prefix="/v1", tags=["history"])
    for table in TABLES.values():
        path = f"/{table.name}"
        name = table.name.replace("-", "_")
        extra = _filters(table)
        made.add_api_route(path, _range_handler(table), name=name, description=table.says, responses=_MANY, openapi_extra=extra)
        if table.has_market:
            made.add_api_route(
                f"{path}/{{exchange}}/{{symbol:path}}", _path_handler(table), name=f"{name}_of", description=table.says, responses=_MANY
            )
    for path, handler in (
        ("/listings", listings),
        ("/candles", candles),
        ("/candles/{exchange}/{symbol:path}", candles_of),
        ("/indicators", indicators),
        ("/book", book),
        ("/consolidated-book", consolidated),
    ):
        made.add_api_route(path, handler, name=handler.__name__, responses=_MANY)
    made.add_api_route("/latest", latest, name="latest", responses=ERRORS)
    return made


async def candles_of(
    reader: Reading,
    limits: Limits,
    given: Range,
    exchange: Annotated[str, Path(max_length=60)],
    symbol: Annotated[str, Path(max_length=200)],
    timeframe: Timeframe = "1m",
) -> Response:
    """Candles of one market."""
    return await answer(reader, limits, tables.candles(timeframe), given=given, exchange=exchange, symbol=symbol)
