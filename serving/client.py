"""The Python client: the same events from now and from the past, and tables.

    from serving.client import live, load, replay

    async for event in live(["trades"], symbol="BTC/USDT"): ...
    async for event in replay(["trades"], symbol="BTC/USDT", start="2026-11-21T07:00Z", end="2026-11-21T08:00Z", speed=None): ...
    candles = load("candles", symbol="BTC/USDT", timeframe="1h", start="-7d", to="polars")

Put here: what a program calls. Keep out: the server; on a home of this machine the same rooms are used without one.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import httpx
import msgspec
import pyarrow as pa

from lake.paths import Home
from serving.errors import ClientError
from serving.events import DECODER, Event, Failed, ReplayState, Subscribed
from serving.render import ARROW

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

URL: Final = "http://127.0.0.1:8321"
_NEXT: Final = "Tickhouse-Next"
_SECONDS: Final = 60.0

Frame = Literal["polars", "pandas", "arrow"]


def _headers(token: str | None) -> dict[str, str]:
    held = token or os.environ.get("TICKHOUSE_TOKEN")
    return {"Authorization": f"Bearer {held}"} if held else {}


def _names(given: str | Sequence[str] | None) -> list[str]:
    if given is None:
        return []
    return [each.strip() for each in (given.split(",") if isinstance(given, str) else given)]


def _wished(given: str | Sequence[str] | None) -> list[str] | list[None]:
    """Each that is named; None once where none is: all of them."""
    return _names(given) or [None]


def _refusal(answer: httpx.Response) -> ClientError:
    try:
        said = answer.json()["error"]["message"]
    except (ValueError, KeyError, TypeError):
        said = f"the server answered {answer.status_code}"
    return ClientError(str(said), answered=answer.status_code)


async def live(
    channels: Sequence[str] = ("trades",),
    *,
    exchange: str | Sequence[str] | None = None,
    symbol: str | Sequence[str] | None = None,
    timeframe: str | None = None,
    url: str = URL,
    token: str | None = None,
    reconnect: bool = True,
) -> AsyncIterator[Event]:
    """Events as they happen, from the server at `url`, without end.

    After a lost connection it connects again (`Subscribed` comes once more: state has to be taken anew); with `reconnect=False` it ends.
    What the server dropped comes as `Dropped`. Raises `ClientError` where the server refuses.
    """
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed, InvalidStatus

    wishes = [
        {"channel": channel, "exchange": venue, "symbol": pair, "timeframe": timeframe if channel in {"candles", "indicators"} else None}
        for channel in channels
        for venue in _wished(exchange)
        for pair in _wished(symbol)
    ]
    asked = msgspec.json.encode({"op": "subscribe", "channels": wishes}).decode()
    wait = 0.1
    while True:
        try:
            async with connect(f"ws{url.removeprefix('http')}/v1/live", additional_headers=_headers(token), max_size=None) as socket:
                await socket.send(asked)
                async for message in socket:
                    for event in DECODER.decode(message):
                        if isinstance(event, Failed):
                            raise ClientError(event.message)
                        if isinstance(event, Subscribed):
                            wait = 0.1
                        yield event
        except InvalidStatus as error:
            raise ClientError(f"the server at {url} answered {error.response.status_code}") from error
        except (OSError, ConnectionClosed):
            if not reconnect:
                raise
        if not reconnect:
            return
        await asyncio.sleep(wait)
        wait = min(10.0, wait * 2)


async def replay(
    channels: Sequence[str] = ("trades",),
    *,
    start: str,
    end: str = "now",
    exchange: str | Sequence[str] | None = None,
    symbol: str | Sequence[str] | None = None,
    timeframe: str = "1m",
    speed: float | None = 1.0,
    by: Literal["exchange", "receive"] = "exchange",
    url: str = URL,
    token: str | None = None,
    home: Path | None = None,
) -> AsyncIterator[Event]:
    """Events of the past as `live` gives them, at `speed` times real time (None: as fast as they are taken), to the end of the range.

    From the server at `url`, or with `home` from a lake on this machine, without a server. Raises `ClientError`.
    """
    asked = {
        "start": start,
        "end": end,
        "channels": [*channels],
        "exchange": ",".join(_names(exchange)) or None,
        "symbol": ",".join(_names(symbol)) or None,
        "timeframe": timeframe,
        "speed": speed,
        "by": by,
    }
    source = _replay_here(Home(home), asked) if home is not None else _replay_there(asked, url, token)
    async for batch in source:
        for event in batch:
            if isinstance(event, Failed):
                raise ClientError(event.message)
            yield event


async def _replay_here(home: Home, asked: Mapping[str, Any]) -> AsyncIterator[Sequence[Event]]:
    from serving.asking import market
    from serving.reader import Reader
    from serving.replaying import script_of
    from serving.session import Session

    reader = Reader(home, timeout_seconds=600.0)
    try:
        exchanges, symbols = await market(reader, asked["exchange"], asked["symbol"])
        script = script_of(
            start=asked["start"],
            end=asked["end"],
            channels=tuple(asked["channels"]),
            exchanges=exchanges,
            symbols=symbols,
            timeframe=asked["timeframe"],
            by=asked["by"],
        )
        session = Session(reader, script, speed=asked["speed"])
        session.start()
        try:
            async for batch in session.stream():
                yield batch
        finally:
            await session.close()
    finally:
        reader.close()


async def _replay_there(asked: Mapping[str, Any], url: str, token: str | None) -> AsyncIterator[Sequence[Event]]:
    from websockets.asyncio.client import connect

    async with httpx.AsyncClient(base_url=url, headers=_headers(token), timeout=_SECONDS) as http:
        created = await http.post("/v1/replays", json=asked)
        if created.is_error:
            raise _refusal(created)
        number = created.json()["id"]
        try:
            address = f"ws{url.removeprefix('http')}/v1/replays/{number}/stream"
            async with connect(address, additional_headers=_headers(token), max_size=None) as socket:
                started = await http.post(f"/v1/replays/{number}/start")
                if started.is_error:
                    raise _refusal(started)
                async for message in socket:
                    batch = DECODER.decode(message)
                    yield batch
                    if any(isinstance(event, ReplayState) and event.state in {"ended", "stopped"} for event in batch):
                        return
        finally:
            await http.delete(f"/v1/replays/{number}")


def load(what: str, *, to: Frame = "polars", home: Path | None = None, url: str = URL, token: str | None = None, **asked: Any) -> Any:
    """All rows of a table of the API (`candles`, `trades`, `books`, …) as a Polars, pandas or Arrow table.

    `asked` are the parameters of `/v1/<what>`: exchange, symbol, timeframe, start, end, columns, order, by; all pages are fetched. With
    `home` the lake is read on this machine, without a server. Raises `ClientError`, or on a home what the lake raises.
    """
    given = {name: ",".join(value) if isinstance(value, list | tuple) else str(value) for name, value in asked.items() if value is not None}
    table = _load_here(what, home, given) if home is not None else _load_there(what, url, token, given)
    return framed(table, to)


def framed(table: pa.Table, to: Frame) -> pa.Table | pl.DataFrame | pd.DataFrame:
    """The table in the library asked for."""
    if to == "arrow":
        return table
    if to == "pandas":
        return table.to_pandas()
    import polars as pl

    return pl.DataFrame(table)


def _load_there(what: str, url: str, token: str | None, asked: dict[str, str]) -> pa.Table:
    tables: list[pa.Table] = []
    asked = {"limit": "50000", **asked}
    with httpx.Client(base_url=url, headers={**_headers(token), "Accept": ARROW}, timeout=_SECONDS) as http:
        while True:
            answer = http.get(f"/v1/{what}", params=asked)
            if answer.is_error:
                raise _refusal(answer)
            with pa.ipc.open_stream(answer.content) as stream:
                tables.append(stream.read_all())
            if _NEXT not in answer.headers:
                return pa.concat_tables(tables)
            asked["cursor"] = answer.headers[_NEXT]


def _load_here(what: str, home: Path, asked: dict[str, str]) -> pa.Table:
    from serving.asking import read_all
    from serving.reader import Reader

    reader = Reader(Home(home.expanduser().resolve()), threads=1, timeout_seconds=600.0)
    try:
        return read_all(reader, what, asked)
    finally:
        reader.close()
