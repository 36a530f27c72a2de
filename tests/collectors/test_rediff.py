"""An hour made again from its raw frames is the hour that landed: every venue, over an hour's end, with nothing but the file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
import zstandard
from typer.testing import CliRunner

from collectors.classify import Verdict, classify
from collectors.decode import decode
from collectors.errors import RecordingError
from collectors.raw import TappedSession
from collectors.rawfiles import RawRecorder, raw_files
from collectors.recording import Line, open_recording, parse
from collectors.rediff import COMPARED, diff
from collectors.registry import VENUES
from collectors.rows import EventBuffer
from collectors.venue import HttpGet, Instrument, Wanted
from lake.landing import Landing
from lake.paths import Home, Hour
from lake.settings import LakeSettings
from orchestration.cli.app import app

pytestmark = pytest.mark.lengthy

HOUR = Hour(1_795_150_800_000_000)
LINES = 600
SECOND = 1_000_000


def instrument(exchange: str, symbol: str, native: str, market: str = "spot", **more: object) -> Instrument:
    base, _, rest = symbol.partition("/")
    quote, _, settle = rest.partition(":")
    return Instrument(exchange=exchange, symbol=symbol, native=native, market=market, base=base, quote=quote, settle=settle or None, **more)


SOURCES = {
    "binance": ("spot_btcusdt_depth_trade_bookticker_20240808.jsonl.gz", [("BTC/USDT", "BTCUSDT", "spot")]),
    "kraken": ("v2_book_checksum_btcusd_20260802.jsonl.gz", [("BTC/USD", "BTC/USD", "spot")]),
    "bybit": ("v5_linear_btc_eth_20260809.jsonl.gz", [("BTC/USDT:USDT", "BTCUSDT", "linear"), ("ETH/USDT:USDT", "ETHUSDT", "linear")]),
    "coinbase": (
        "advanced_level2_trades_ticker_candles_20260809.jsonl.gz",
        [("BTC/USD", "BTC-USD", "spot"), ("ETH/USD", "ETH-USD", "spot")],
    ),
    "okx": ("v5_books_checksum_trades_btcusdt_20220513.jsonl.gz", [("BTC/USDT", "BTC-USDT", "spot")]),
    "bitfinex": ("v2_book_trades_ticker_seq_20210405.jsonl.gz", [("BTC/USD", "tBTCUSD", "spot"), ("ETH/USD", "tETHUSD", "spot")]),
    "htx": ("message_samples.jsonl", [("BTC/USDT", "btcusdt", "spot")]),
    "kucoin": ("", [("BTC/USDT", "BTC-USDT", "spot")]),
    "gateio": ("message_samples.jsonl", [("BTC/USDT", "BTC_USDT", "spot")]),
    "bitget": ("message_samples.jsonl", [("BTC/USDT", "BTCUSDT", "spot")]),
    "mexc": ("v3_spot_protobuf_frames.jsonl", [("BTC/USDT", "BTCUSDT", "spot")]),
}


@pytest.fixture(autouse=True)
def logging_of_the_verb_ends_with_the_test() -> Iterator[None]:
    yield
    structlog.reset_defaults()


class Driven:
    """Live sessions of one exchange, recorded and landed, driven by a clock of their own."""

    def __init__(self, home: Path, exchange: str, instruments: list[Instrument]) -> None:
        self.settings = LakeSettings(home=home, visible_after_seconds=0.2)
        self.home: Home = self.settings.house
        self.exchange = exchange
        self.venue = VENUES[exchange]
        self.events = EventBuffer()
        self.wanted = Wanted(symbols=tuple(each.symbol for each in instruments), channels=tuple(self.venue.channels))
        self.plans = self.venue.plan(self.wanted, {each.symbol: each for each in instruments})
        self.recorder = RawRecorder(self.home, "main")
        self.tape = self.recorder.tape(exchange, wanted=self.wanted, events=self.events)
        self.landing = Landing(self.settings, "main")
        self.landing.recover()
        self.links: list[TappedSession] = []

    def open(self, now: int) -> None:
        self.links = [self.tape.tap(self.venue.session(plan, self.events, self.wanted), plan) for plan in self.plans]
        for link in self.links:
            link.opened(now)
            link.actions.clear()

    def take(self, line: Line, now: int) -> None:
        for link, plan in zip(self.links, self.plans, strict=True):
            try:
                if line.kind == "http":
                    symbol = next((each.symbol for each in plan.instruments if each.native in (line.conn or "")), None)
                    if symbol is not None:
                        link.feed_http(HttpGet(url=line.conn or "", purpose="depth", symbol=symbol), line.payload, now)
                else:
                    link.feed(line.payload, now)
            except Exception as error:
                if classify(error) is Verdict.FATAL:
                    raise
                self.events.writer(self.exchange, plan.name).dead_letter(line.payload, str(error) or type(error).__name__, local=now)
            link.actions.clear()

    def tick(self, now: int) -> None:
        for link in self.links:
            link.tick(now)
            link.actions.clear()

    def close(self, now: int) -> None:
        for link in self.links:
            link.closed(now)
            link.actions.clear()

    def land(self) -> None:
        self.landing.append(self.events.drain())
        self.recorder.write()

    def finish(self) -> None:
        self.land()
        self.recorder.close()
        self.landing.drain_and_close()


def incoming(path: Path) -> Iterator[Line]:
    with open_recording(path) as lines:
        for number, raw in enumerate(lines):
            line = parse(raw, where="here")
            if line.dir == "in" and line.kind != "connect":
                yield line
            if number > LINES:
                return


def frames_of(recordings: Path, exchange: str) -> list[Line]:
    """The first frames of the recording; KuCoin's live socket speaks an API that no recording holds, so its words are spelled here."""
    if exchange != "kucoin":
        return list(incoming(recordings / exchange / SOURCES[exchange][0]))
    said: list[dict[str, object]] = [{"sessionId": "s", "message": "welcome", "pingInterval": 18000}]
    for number in range(10, 200):
        price = str(100 + number % 13)
        data = {"C": number, "O": number, "M": 1_787_348_155_000_000_000, "s": "BTC-USDT", "a": [["200", "1"]], "b": [[price, str(number)]]}
        said.append({"T": "obu.SPOT", "dp": "increment@10ms", "t": "delta" if number > 10 else "snapshot", "P": 0, "d": data})
        trade = {"M": 1_787_348_155_000_000_000 + number, "S": "sell", "p": price, "q": "0.5", "s": "BTC-USDT", "ti": str(number), "E": 1}
        said.append({"T": "trade.SPOT", "P": 0, "d": trade})
    return [Line(None, "in", raw=json.dumps(each)) for each in said]


def raw_lines(path: Path) -> list[bytes]:
    with open_recording(path) as lines:
        return [line.rstrip(b"\n") for line in lines]


def drive(home: Path, recordings: Path, exchange: str) -> Driven:
    """The first frames of a recording as if they came around the end of HOUR, with a cut in the second hour."""
    driven = Driven(home, exchange, [instrument(exchange, *each) for each in SOURCES[exchange][1]])
    lines = frames_of(recordings, exchange)
    step = 20_000
    now = HOUR.end - step * len(lines) // 2
    driven.open(now)
    for number, line in enumerate(lines):
        now += step
        driven.take(line, now)
        if number % 7 == 0:
            driven.tick(now + 1000)
        if number % 400 == 0:
            driven.land()
    driven.close(now + 2000)
    driven.open(now + SECOND)
    for line in lines[: len(lines) // 3]:
        now += step
        driven.take(line, now + SECOND)
    driven.finish()
    return driven


@pytest.mark.parametrize("exchange", sorted(SOURCES))
def test_both_hours_around_an_hours_end_are_made_again_from_their_own_file(tmp_path: Path, recordings: Path, exchange: str) -> None:
    driven = drive(tmp_path, recordings, exchange)

    first, second = diff(driven.home, exchange, HOUR), diff(driven.home, exchange, HOUR.next())

    for report in (first, second):
        assert report.equal, report
        assert report.remarks == []
        assert report.frames
        assert sum(each.not_recorded for each in report.datasets.values()) == 0
    assert first.datasets["trades"].landed + first.datasets["book_deltas"].landed > 0
    if first.datasets["book_deltas"].landed > 300:
        # The second hour goes on with the book of the first: only a restored session knows it.
        assert second.datasets["book_deltas"].landed > 300


def test_frames_that_are_gone_show_as_rows_that_are_missing(tmp_path: Path, recordings: Path) -> None:
    driven = drive(tmp_path, recordings, "binance")
    (path,) = raw_files(driven.home, "binance", HOUR)
    lines = raw_lines(path)
    gone = next(number for number, line in enumerate(lines) if b"@trade" in line and number > 100)
    changed = next(number for number, line in enumerate(lines) if b"@trade" in line and number > gone)
    price = str(json.loads(json.loads(lines[changed])["raw"])["data"]["p"]).encode()
    lines[changed] = lines[changed].replace(price, b"12345.5")
    path.write_bytes(zstandard.compress(b"".join(line + b"\n" for number, line in enumerate(lines) if number != gone)))

    report = diff(driven.home, "binance", HOUR)

    trades = report.datasets["trades"]
    assert not report.equal
    assert (trades.missing, trades.extra, trades.landed - trades.remade) == (2, 1, 1)
    assert [row["found"] for row in trades.examples] == ["landed", "landed", "remade"]
    assert trades.examples[2]["price"] == 12345.5
    assert report.datasets["book_deltas"].same


@pytest.mark.parametrize(("unlanded", "equal"), [(40, True), (100, False)])
def test_what_a_kill_left_in_the_frames_alone_is_compared_with_nothing_for_a_second_only(
    tmp_path: Path, recordings: Path, unlanded: int, equal: bool
) -> None:
    instruments = [instrument("binance", *each) for each in SOURCES["binance"][1]]
    lines = frames_of(recordings, "binance")
    step = 20_000
    first = Driven(tmp_path, "binance", instruments)
    first.open(HOUR.start)
    for number, line in enumerate(lines):
        if number == len(lines) - unlanded:
            first.land()
        first.take(line, HOUR.start + number * step)
    first.events.drain()  # the rows of these were not in the log yet
    first.recorder.write()
    (growing,) = raw_files(first.home, "binance", HOUR)
    left = growing.read_bytes()
    first.recorder.close()
    growing.with_name(growing.name.replace("open-", "raw-")).unlink()
    growing.write_bytes(left)
    first.landing.drain_and_close()

    second = Driven(tmp_path, "binance", instruments)
    second.recorder.start()
    again = HOUR.start + len(lines) * step + SECOND
    second.open(again)
    for number, line in enumerate(lines[-unlanded:]):
        second.take(line, again + number * step)
    second.finish()
    report = diff(second.home, "binance", HOUR)

    assert len(report.files) == 2
    assert any("ends with a kill" in remark for remark in report.remarks)
    trades = report.datasets["trades"]
    assert trades.equal > 50
    assert trades.not_recorded > 0
    assert trades.same == equal, trades


def test_the_verb_says_equal_and_different_by_its_exit_code(tmp_path: Path, recordings: Path) -> None:
    driven = drive(tmp_path, recordings, "kraken")
    words = ["decode", "--diff", "--home", str(tmp_path), "--exchange", "kraken", "--hour"]

    equal = CliRunner().invoke(app, [*words, f"{HOUR.moment:%Y-%m-%dT%H}", "--json"])
    table = CliRunner().invoke(app, [*words, f"{HOUR.moment:%Y-%m-%dT%H}:00"])
    (path,) = raw_files(driven.home, "kraken", HOUR.next())
    lines = raw_lines(path)
    path.write_bytes(zstandard.compress(b"".join(line + b"\n" for line in lines if b"update" not in line)))
    different = CliRunner().invoke(app, [*words, f"{HOUR.next().moment:%Y-%m-%dT%H}", "--json"])
    absent = CliRunner().invoke(app, [*words, "2026-01-01T00", "--json"])

    assert equal.exit_code == 0, equal.output
    report = json.loads(equal.stdout)
    assert report["equal"] is True
    assert set(report["datasets"]) == set(COMPARED)
    assert report["datasets"]["book_deltas"]["equal"] == report["datasets"]["book_deltas"]["landed"] > 300
    assert table.exit_code == 0
    assert "The rows are equal." in table.stdout
    assert different.exit_code == 1
    assert json.loads(different.stdout)["equal"] is False
    assert isinstance(absent.exception, RecordingError)
    assert "no raw frames of kraken in hour 2026-01-01T00" in str(absent.exception)


@pytest.mark.parametrize("exchange", ["binance", "kraken"])
def test_files_of_raw_frames_are_recordings_like_any_other(tmp_path: Path, recordings: Path, exchange: str) -> None:
    driven = drive(tmp_path, recordings, exchange)
    files = [path for hour in (HOUR, HOUR.next()) for path in raw_files(driven.home, exchange, hour)]

    report = decode(exchange, files)

    lines = [json.loads(line) for path in files for line in raw_lines(path)]
    frames = [line for line in lines if line["dir"] == "in" and line.get("kind") in {None, "http"}]
    assert report.frames == len(frames) > LINES / 3
    assert report.frames == report.control + report.ignored + report.decoded + report.dead_letters
    assert report.dead_letters == 0
    assert all(set(line) >= {"ts", "dir", "conn"} for line in lines)
    for path in files:
        head, *rest = [line.get("kind") for line in map(json.loads, raw_lines(path))]
        assert head == "checkpoint"
        assert "checkpoint" not in rest
    opening = json.loads(raw_lines(files[1])[0])
    assert opening["ts"] == HOUR.end / 1e6
    (book,) = opening["image"]["books"].values()
    assert len(book["bids"]) >= 10
    assert book["bids"][0][0] < book["asks"][0][0]


def test_every_venue_is_made_again() -> None:
    assert set(SOURCES) == set(VENUES)
