"""Table macros of the catalog: each answers the same through plain DuckDB and with the log, and as computed by hand."""

from __future__ import annotations

import random
from datetime import UTC, date, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake import query
from lake.derived import write_hour, write_period
from lake.layout import SENTINEL_DAY
from lake.listing import days_glob
from lake.macros import CANDLES_NOW, MACROS
from lake.paths import Hour
from lake.periods import Period
from tests.lake.laying import LaidLake
from tests.lake.making import HOUR, MINUTE, START, level, rows, trade

DAY = "2026-11-21"


def ask(laid: LaidLake, sql: str) -> list[tuple]:
    """The answer of plain DuckDB on the catalog, which `tickhouse sql` must give too."""
    with duckdb.connect(str(laid.home.catalog), read_only=True) as connection:
        connection.execute("SET TimeZone = 'Pacific/Auckland'")
        plain = connection.execute(sql).fetchall()
    with query.connect(laid.home, statement=sql) as connection:
        assert connection.execute(sql).fetchall() == plain
    return plain


def test_every_macro_answers_its_own_example_over_an_empty_lake(laid):
    with duckdb.connect(str(laid.home.catalog), read_only=True) as connection:
        for macro in (CANDLES_NOW, *MACROS):
            assert connection.execute(macro.example).fetchall() == []
        named = connection.execute("SELECT function_name, comment FROM duckdb_functions() WHERE NOT internal").fetchall()
    assert dict(named) == {macro.name: macro.says for macro in (CANDLES_NOW, *MACROS)}


def test_ohlcv_keeps_to_its_range(laid):
    laid.land("trades", *(trade(number, at=START + number * HOUR) for number in range(6)))

    found = ask(laid, f"SELECT epoch_us(timestamp) FROM ohlcv('BTC/USDT', '1h', since := '{DAY} 01:00Z', until := '{DAY} 04:00Z')")

    assert found == [(START + hour * HOUR,) for hour in (1, 2, 3)]


@pytest.mark.parametrize("timeframe", ["7m", "1mo", ""])
def test_an_unknown_timeframe_is_named_with_those_that_are_known(laid, timeframe):
    with (
        duckdb.connect(str(laid.home.catalog), read_only=True) as connection,
        pytest.raises(duckdb.Error, match=f"timeframe {timeframe} is unknown; known timeframes are 1m, 3m"),
    ):
        connection.execute(f"FROM candles_filled('BTC/USDT', '{timeframe}', '{DAY}', '{DAY}')")


def test_candles_filled_has_every_interval_and_says_which_were_empty(laid):
    laid.land(
        "trades",
        trade(1, at=START - 3 * HOUR, price=90.0),
        trade(2, at=START + MINUTE, price=100.0, amount=2.0),
        trade(3, at=START + 4 * MINUTE, price=104.0, exchange="kraken"),
    )
    sql = (
        f"SELECT exchange, (epoch_us(timestamp) - {START}) // 60000000, open, high, low, close, volume, trade_count, vwap, is_filled "
        f"FROM candles_filled('BTC/USDT', '1m', '{DAY} 00:00Z', '{DAY} 00:06Z')"
    )
    filled = [("binance", at, *[90.0] * 4, 0.0, 0, 90.0, True) for at in (0,)]
    held = [("binance", at, *[100.0] * 4, 0.0, 0, 100.0, True) for at in (2, 3, 4, 5)]

    assert ask(laid, sql) == [
        *filled,
        ("binance", 1, 100.0, 100.0, 100.0, 100.0, 2.0, 1, 100.0, False),
        *held,
        ("kraken", 4, 104.0, 104.0, 104.0, 104.0, 1.5, 1, 104.0, False),
        ("kraken", 5, 104.0, 104.0, 104.0, 104.0, 0.0, 0, 104.0, True),
    ]
    assert ask(laid, sql.replace("00:06Z')", "00:06Z', venue := 'kraken')"))[0][:2] == ("kraken", 4)


@pytest.mark.parametrize(("timeframe", "opens"), [("1M", ["2026-08-01", "2026-09-01", "2026-10-01"]), ("1w", ["2026-10-19", "2026-10-26"])])
def test_candles_are_filled_along_the_calendar(laid, timeframe, opens):
    laid.land("trades", trade(1, at=START - 110 * 24 * HOUR), trade(2, at=START - 35 * 24 * HOUR))
    since = "2026-08-15 00:00Z" if timeframe == "1M" else "2026-10-21 00:00Z"

    sql = f"strftime(timezone('UTC', timestamp), '%Y-%m-%d') FROM candles_filled('BTC/USDT', '{timeframe}', '{since}', '2026-11-01 00:00Z')"

    assert [row[0] for row in ask(laid, f"SELECT {sql}")] == opens


def test_what_has_not_opened_yet_is_not_filled(laid):
    now = laid.clock.us + 19_000_000_000
    laid.land("trades", trade(1, at=now - now % HOUR - HOUR))

    (found,) = ask(
        laid, "SELECT max(timestamp) <= now() FROM candles_filled('BTC/USDT', '1m', now() - INTERVAL 3 HOURS, now() + INTERVAL 1 DAY)"
    )

    assert found == (True,)


class Book:
    """A book kept by the plain rule, and the deltas that tell of it."""

    def __init__(self) -> None:
        self.random = random.Random(5)
        self.levels: dict[tuple[str, float], float] = {}
        self.rows: list[dict] = []
        self.number = 0

    def _row(self, at: int, side: str, price: float, amount: float, *, is_snapshot: bool) -> None:
        self.number += 1
        row = level(self.number, at=at, side=side, price=price, amount=amount, is_snapshot=is_snapshot, sequence=at // 1_000_000)
        self.rows.append(row)

    def snapshot(self, at: int, *, count: int = 12) -> None:
        prices = [("bid", 100.0 - n) for n in range(count)] + [("ask", 101.0 + n) for n in range(count)]
        self.levels = {key: round(self.random.uniform(0.1, 9), 3) for key in prices}
        for (side, price), amount in self.levels.items():
            self._row(at, side, price, amount, is_snapshot=True)

    def change(self, at: int) -> None:
        side = self.random.choice(["bid", "ask"])
        price = (100.0 - self.random.randrange(15)) if side == "bid" else (101.0 + self.random.randrange(15))
        amount = 0.0 if self.random.random() < 0.4 else round(self.random.uniform(0.1, 9), 3)
        self.levels[side, price] = amount
        self._row(at, side, price, amount, is_snapshot=False)

    @property
    def standing(self) -> list[tuple[str, float, float]]:
        sides = [sorted((p for s, p in self.levels if s == side), reverse=side == "bid") for side in ("ask", "bid")]
        return [
            (side, price, self.levels[side, price])
            for side, prices in zip(("ask", "bid"), sides, strict=True)
            for price in prices
            if self.levels[side, price] > 0
        ]


def test_the_book_at_any_instant_is_the_one_kept_row_by_row(laid):
    book, states = Book(), []
    book.snapshot(START + 2_000_000)
    for step in range(1, 400):
        at = START + 2_000_000 + step * 8_000_000
        if step in {120, 260}:
            book.snapshot(at)
        else:
            book.change(at)
        states.append((at, book.standing))
    before = len(book.rows)
    book.snapshot(START + HOUR + 1_500_000, count=3)
    after = book.standing
    laid.land("book_deltas", *book.rows[:before])
    laid.compact("book_deltas", START)
    laid.land("book_deltas", *book.rows[before:], level(1, at=START + 9_000_000, exchange="kraken", is_snapshot=True))

    with duckdb.connect(str(laid.home.catalog), read_only=True) as connection:

        def at(instant: int) -> list[tuple]:
            sql = f"SELECT side, price, amount FROM book_at('binance', 'BTC/USDT', make_timestamptz({instant})) ORDER BY side, level"
            return connection.execute(sql).fetchall()

        for instant, expected in [*random.Random(1).sample(states, 25), states[118], states[119], states[120]]:
            assert at(instant) == expected
            assert at(instant + 7_999_999) == expected
        assert at(START + 1_000_000) == []
        # The hour's own snapshot is still to come: the book is that of the hour before.
        assert at(START + HOUR + 1_000_000) == states[-1][1]
        assert at(START + HOUR + 30 * MINUTE) == after


def test_book_at_tells_levels_and_when_they_changed_through_both_doors(laid):
    rows = [
        level(1, at=START, side="bid", price=99.0, amount=1.0, is_snapshot=True),
        level(2, at=START, side="bid", price=98.0, amount=2.0, is_snapshot=True),
        level(3, at=START + MINUTE, side="bid", price=98.5, amount=3.0),
        level(4, at=START + MINUTE, side="bid", price=99.0, amount=0.0),
    ]
    laid.land("book_deltas", *rows)

    found = ask(laid, f"SELECT level, price, amount, epoch_us(changed_at) - {START} FROM book_at('binance', 'BTC/USDT', '{DAY} 00:02Z')")

    assert found == [(1, 98.5, 3.0, MINUTE), (2, 98.0, 2.0, 0)]


def test_vwap_of_a_range_counts_each_trade_once(laid):
    inside = [trade(1, price=100.0, amount=1.0), trade(2, price=110.0, amount=3.0), trade(3, price=50.0, amount=4.0, exchange="kraken")]
    laid.land("trades", *inside, trade(4, at=START + MINUTE, price=1.0), trade(5, at=START - 1, price=1.0))
    laid.land("trades", {**inside[0], "source": "rest"})

    found = ask(laid, f"SELECT exchange, vwap, volume, quote_volume, trade_count FROM vwap('BTC/USDT', '{DAY} 00:00Z', '{DAY} 00:01Z')")

    assert found == [("binance", 107.5, 4.0, 430.0, 2), ("kraken", 50.0, 4.0, 200.0, 1), ("all", 78.75, 8.0, 630.0, 3)]


def test_each_trade_stands_beside_the_book_received_before_it(laid):
    def top(at: int, bid: float) -> dict:
        return {
            "local_timestamp": at, "bid_prices": [bid], "bid_amounts": [1.0], "ask_prices": [bid + 2], "ask_amounts": [1.0], "ordinal": at,
        }  # fmt: skip

    laid.land("book_snapshots", top(START + 10, 100.0), top(START + MINUTE, 105.0))
    laid.land(
        "trades",
        trade(1, at=START, local_timestamp=START + 5),
        trade(2, at=START, local_timestamp=START + 10),
        trade(3, at=START + 20, local_timestamp=START + MINUTE + 1),
        trade(4, at=START + 30, local_timestamp=START + HOUR, source="rest"),
        trade(5, at=START + 40, exchange="kraken"),
    )

    found = ask(laid, f"SELECT trade_id, best_bid, mid, book_age_seconds FROM trades_with_book('BTC/USDT', '{DAY} 00:00Z', '{DAY} 00:01Z')")

    assert found == [
        ("1", None, None, None),
        ("2", 100.0, 101.0, 0.0),
        ("3", 105.0, 106.0, 1e-6),
        ("4", 100.0, 101.0, 20e-6),
        ("5", None, None, None),
    ]


def matched(root: Path, first: date, last: date) -> list[date]:
    """The days under `root` that the glob of a range matches, as often as it does."""
    ends = [f"DATE '{day}'" for day in (first, last)]
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT {days_glob(*ends)}").fetchone()
        assert found is not None
        files = connection.execute(f"FROM glob('{root}/date={found[0]}/file')").fetchall()
    return [date.fromisoformat(Path(file).parent.name.removeprefix("date=")) for (file,) in files]


def lay_days(root: Path, days: set[date]) -> None:
    for day in days:
        (root / f"date={day}").mkdir()
        (root / f"date={day}" / "file").touch()


@settings(max_examples=40, deadline=None)
@given(first=st.dates(date(2009, 1, 1), date(2100, 1, 1)), length=st.integers(0, 900), share=st.floats(0, 1))
def test_the_glob_of_a_range_matches_its_days_and_the_empty_file_once(tmp_path_factory, first, length, share):
    last = first + timedelta(days=length)
    inside = {first, last, first + timedelta(days=int(length * share)), SENTINEL_DAY}
    root = tmp_path_factory.mktemp("days")
    lay_days(root, inside)

    assert sorted(matched(root, first, last)) == sorted(inside)


def test_the_glob_of_a_range_leaves_the_other_days_of_years_out(tmp_path):
    days = {date(2023, 1, 1) + timedelta(days=number) for number in range(1200)}
    lay_days(tmp_path, days | {SENTINEL_DAY})

    assert len(matched(tmp_path, date(2025, 11, 21), date(2025, 11, 22))) < 10
    assert len(matched(tmp_path, date(2025, 10, 30), date(2025, 11, 2))) < 150


def test_an_endless_or_backward_range_is_no_error(laid):
    laid.land("trades", trade(1, at=START))
    ranges = {
        (f"'{DAY} 00:00Z'", "'infinity'"): 1,
        ("'-infinity'", f"'{DAY} 23:00Z'"): 1,
        ("NULL", f"'{DAY} 23:00Z'"): 1,
        (f"'{DAY} 00:00Z'", "'2026-11-20 00:00Z'"): 0,
        ("now() - INTERVAL 30000 DAYS", "NULL"): 1,
    }

    with duckdb.connect(str(laid.home.catalog), read_only=True) as connection:
        for (since, until), expected in ranges.items():
            found = connection.execute(f"SELECT count(*) FROM candles_now('1h', since := {since}, until := {until})").fetchone()
            assert found == (expected,), (since, until)


RANGES = [("2026-11-21", "2026-11-22"), ("2026-10-30", "2026-11-02"), ("2025-12-01", "2026-02-01"), ("2026-08-01", "2026-11-30")]


def test_candles_of_a_range_are_those_of_the_view_in_it(laid):
    """Stored ones of hours, days and months, stale ones and those that were never made; ours, and the exchange's where ours are not whole."""
    day = 24 * HOUR
    times = [START, START - 20 * day, START - 21 * day, START - 300 * day, START - 330 * day, START - 100 * day + 5 * HOUR]
    laid.land("trades", *(trade(number, at=at, price=10.0 + number) for number, at in enumerate(times)))
    for at in times[:4]:
        laid.materialise(at)
        laid.materialise_longer(at, ("4h", "1d"))
    for at in (times[0], times[3]):
        laid.materialise_longer(at, ("1w", "1M"))
    laid.compact_day("candles_1m", Hour.of(times[1]).date)
    laid.land("trades", trade(10, at=times[1] + MINUTE), trade(11, at=times[3] + 9 * day))
    covered = pa.Table.from_batches([rows("coverage", {"timestamp": START, "dataset": "trades", "condition": "degraded"})])
    write_hour(laid.home, "coverage", Hour.of(START), covered, watermark=laid.clock.us, visible_after=0.5, clock=laid.clock)
    candle = {"timeframe": "1m", "timestamp": START, "close": 99.0, "volume": 1.0, "source": "exchange"}
    theirs = pa.Table.from_batches([rows("exchange_candles", candle, candle | {"timeframe": "1w", "timestamp": START - 5 * day})])
    month = Period.of(START, "month")
    write_period(laid.home, "exchange_candles", month, theirs, watermark=laid.clock.us, visible_after=0.5, clock=laid.clock)
    laid.clock.advance(1)

    with duckdb.connect(str(laid.home.catalog), read_only=True) as connection:
        seen = 0
        for timeframe in ("1m", "1h", "4h", "1d", "1w", "1M"):
            whole = connection.execute(f"FROM candles WHERE timeframe = '{timeframe}' ORDER BY ALL").fetchall()
            for since, until in RANGES:
                sql = f"FROM candles_now('{timeframe}', since := '{since} 00:00Z', until := '{until} 00:00Z') ORDER BY ALL"
                expected = [row for row in whole if since <= f"{row[3].astimezone(UTC):%Y-%m-%d}" < until]
                assert connection.execute(sql).fetchall() == expected
                seen += len(expected)
    assert seen > 20
