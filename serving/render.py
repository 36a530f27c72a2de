"""Tables as bytes: JSON, Arrow IPC or CSV, as the Accept header asks.

Put here: choosing and writing a format. Keep out: rows, cursors and status codes.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from serving.errors import NotAcceptable

JSON: Final = "application/json"
ARROW: Final = "application/vnd.apache.arrow.stream"
CSV: Final = "text/csv"
FORMATS: Final = (JSON, ARROW, CSV)


def chosen(accept: str | None) -> str:
    """The format an Accept header prefers, JSON among equals. Raises `NotAcceptable`."""
    if not accept:
        return JSON
    best, weight = "", 0.0
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = _quality(parameters)
        offered = next((each for each in FORMATS if name in {each, "*/*", each.split("/")[0] + "/*"}), "")
        if offered and quality > weight:
            best, weight = offered, quality
    if not best:
        raise NotAcceptable(f"Accept is {accept[:80]!r}, expected one of {', '.join(FORMATS)}")
    return best


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return min(1.0, float(parameter[2:])) if parameter[2:].replace(".", "", 1).isdigit() else 0.0
            except ValueError:
                return 0.0
    return 1.0


def plain(table: pa.Table) -> pa.Table:
    """The table with its times as ISO 8601 text."""
    columns = []
    for column in table.columns:
        if pa.types.is_timestamp(column.type):
            utc = column.cast(pa.timestamp("us", "UTC"))
            columns.append(pc.binary_join_element_wise(pc.strftime(utc, format="%Y-%m-%dT%H:%M:%S"), pa.scalar("Z"), pa.scalar("")))
        else:
            columns.append(column)
    return pa.table(columns, names=table.column_names)


def rows(table: pa.Table) -> list[dict[str, Any]]:
    """The rows as JSON holds them."""
    return plain(table).to_pylist()  # type: ignore[no-any-return]


def written(table: pa.Table, media: str, *, more: Mapping[str, Any] | None = None) -> bytes:
    """The table in a format of `FORMATS`; `more` stands beside `rows` in JSON."""
    if media == ARROW:
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return sink.getvalue()
    if media == CSV:
        sink = io.BytesIO()
        flat = plain(table)
        for number, column in enumerate(flat.columns):
            if pa.types.is_list(column.type):
                texts = [None if value is None else msgspec.json.encode(value).decode() for value in column.to_pylist()]
                flat = flat.set_column(number, flat.column_names[number], pa.array(texts, pa.string()))
        csv.write_csv(flat, sink)
        return sink.getvalue()
    return msgspec.json.encode({"rows": rows(table), **(more or {})})
