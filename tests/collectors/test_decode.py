from __future__ import annotations

import gzip
import json
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest
import zstandard

from collectors.decode import decode
from collectors.errors import RecordingError, UnknownExchange
from collectors.recording import line, read
from collectors.registry import VENUES, exchange_of, venue
from lake.registry import DATASETS

CONN = "wss://stream.binance.com:9443/stream"
REST = "https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=1000"


def wrapped(stream: str, **data: object) -> str:
    return json.dumps({"stream": stream, "data": data})


def small_recording() -> bytes:
    trade = {"e": "trade", "s": "BTCUSDT", "E": 1764000000000, "T": 1764000000000}
    lines = [
        line(None, 1764000000.0, direction="out", conn=CONN, kind="connect"),
        line('{"method":"SUBSCRIBE","params":[],"id":1}', 1764000000.0, direction="out", conn=CONN),
        line('{"result":null,"id":1}', 1764000000.1, direction="in", conn=CONN),
        line(wrapped("btcusdt@trade", t=2, p="11", q="1.5", m=True, **trade), 1764000000.2, direction="in", conn=CONN),
        line(wrapped("btcusdt@trade", t=1, p="10", q="0.5", m=False, **trade), 1764000000.3, direction="in", conn=CONN),
        line(
            wrapped("btcusdt@depth", e="depthUpdate", E=1764000000000, s="BTCUSDT", U=1, u=4, b=[["9", "1"]], a=[]),
            None,
            direction="in",
            conn=CONN,
        ),
        line('{"lastUpdateId":3,"bids":[["8","2"]],"asks":[["12","3"]]}', 1764000000.4, direction="in", conn=REST, kind="http"),
        line(wrapped("btcusdt@bookTicker", u=1), 1764000000.5, direction="in", conn=CONN),
        line(b"\xff\xfe", 1764000000.6, direction="in", conn=CONN),
    ]
    return b"".join(lines)


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz", "jsonl.zst"])
def test_the_report_has_the_promised_shape(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"small.{ending}"
    packed = {"jsonl": bytes, "jsonl.gz": gzip.compress, "jsonl.zst": zstandard.compress}[ending](small_recording())
    path.write_bytes(packed)

    found = json.loads(msgspec.json.encode(decode("binance", [path], out=tmp_path / "out")))

    rows = found.pop("rows")
    assert found == {
        "exchange": "binance",
        "frames": 7,
        "control": 1,
        "ignored": 1,
        "decoded": 4,
        "dead_letters": 1,
        "gaps": 0,
        "checksums": {"verified": 0, "failed": 0},
        "symbols": {
            "BTC/USDT": {
                "trades": 2,
                "buy_amount": 0.5,
                "sell_amount": 1.5,
                "first_price": 10.0,
                "last_price": 11.0,
                "book": {"bids": [[9.0, 1.0], [8.0, 2.0]], "asks": [[12.0, 3.0]], "updates": 1},
            }
        },
    }
    written = {file.stem: pq.read_table(file) for file in (tmp_path / "out").iterdir()}
    assert {name: table.num_rows for name, table in written.items()} == rows
    assert all(table.schema.equals(DATASETS[name].schema) for name, table in written.items())
    assert written["dead_letters"]["raw"].to_pylist() == [b"\xff\xfe"]


def test_lines_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_bytes(line("text", 1764000000.123456, direction="in", conn="c") + line(b"\xff", None, direction="out", conn="d"))
    first, second = read(path)
    assert (first.payload, first.received, first.conn, first.dir) == (b"text", 1764000000123456, "c", "in")
    assert (second.payload, second.received, second.conn, second.dir) == (b"\xff", None, "d", "out")


@pytest.mark.parametrize("content", [b"{}\n", b"[1]\n", b"not json\n"])
def test_a_line_that_is_none_of_a_recording_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(small_recording() + content)
    with pytest.raises(RecordingError, match=r"line 10 of .*bad\.jsonl"):
        decode("binance", [path])


@pytest.mark.parametrize(
    ("name", "content"), [("absent.jsonl", None), ("cut.jsonl.gz", gzip.compress(b"x" * 100, mtime=0)[:-9]), ("no.jsonl.zst", b"nonsense")]
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes | None) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RecordingError, match=name):
        decode("binance", [path])


def test_an_unknown_exchange_says_which_are_known() -> None:
    with pytest.raises(UnknownExchange, match="binance"):
        venue("binanse")


@pytest.mark.parametrize("name", list(VENUES))
def test_every_registered_venue_answers_to_its_own_name_and_urls(name: str) -> None:
    assert VENUES[name].exchange == name
    assert {exchange_of(url) for url in VENUES[name].endpoints.values()} == {name}
