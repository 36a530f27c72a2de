"""Rules over history: the lake and files of recordings say what the present would have said, and a start is warm."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from collectors.decode import decode
from lake.alerts.backtest import Backtest, backtest, connect_files, connect_lake, span
from lake.alerts.conditions import fired_by_sql
from lake.alerts.engine import Engine
from lake.alerts.firing import Alert, Firing
from lake.alerts.replay import feed, files_reader, warm
from lake.alerts.rules import Condition, Rule, parse_rules
from lake.alerts.settings import AlertSettings
from lake.errors import AlertRuleError
from tests.lake.laying import LaidLake
from tests.lake.making import HOUR, MINUTE, START, trade

SECOND = 1_000_000
MOVE = '[rules.move]\nkind = "price_move"\nwindow_seconds = 60\nthresholds = { LOW = 3.0 }\n'
SPIKE = '[rules.spike]\nkind = "volume_spike"\nwindow_seconds = 60\nhistory_seconds = 300\nthresholds = { LOW = 3.0 }\n'


def alert_rules(text: str) -> dict[str, Rule]:
    return parse_rules(text, AlertSettings(_env_file=None))


def minute_trades(first: int, last: int, **more: Any) -> list[dict[str, Any]]:
    """One trade every ten seconds of these minutes; the last minute moves by 4 per cent and is ten times as busy."""
    return [
        trade(number, at=START + number * 10 * SECOND, exchange="okx", **{"price": 100.0, "amount": 1.0, **more})
        for number in range(first * 6, last * 6)
    ]


def loud(minute: int) -> list[dict[str, Any]]:
    """A minute in which the price moves by 4 per cent and ten times as much is traded."""
    return minute_trades(minute, minute + 1, price=104.0, amount=10.0)


def in_lake(lake: LaidLake, rules: dict[str, Rule], *, since: int, until: int) -> Backtest:
    with closing(connect_lake(lake.home, rules)) as connection:
        return backtest(connection, rules, since=since, until=until)


def said(alerts: list[Alert]) -> list[tuple[str, int, float]]:
    return [(alert.rule, (alert.timestamp - START) // SECOND, round(alert.value or 0, 9)) for alert in alerts]


def test_history_says_the_same_from_parts_and_log_and_compacted_hours_and_wherever_it_begins(tmp_path: Path):
    lake = LaidLake(tmp_path)
    rules = alert_rules(MOVE + SPIKE)
    lake.land("trades", *minute_trades(0, 30))
    lake.land("trades", *minute_trades(30, 66))
    lake.log("trades", *loud(66))

    whole = in_lake(lake, rules, since=START, until=START + 2 * HOUR)
    late = in_lake(lake, rules, since=START + 65 * MINUTE + 7, until=START + 2 * HOUR)
    before = in_lake(lake, rules, since=START, until=START + 66 * MINUTE)
    lake.seal()
    lake.compact("trades", START)
    lake.compact("trades", START + HOUR)

    # Six trades of 1 a minute are usual; five of them are in the window still when the first of 10 comes: (50 + 1 x 10) of 60 s.
    assert said(whole.alerts) == [("move", 3960, 4.0), ("spike", 3970, round(24 / 6, 9))]
    assert late.alerts == whole.alerts
    assert before.alerts == []
    assert in_lake(lake, rules, since=START, until=START + 2 * HOUR).alerts == whole.alerts


def test_a_warm_engine_says_next_what_one_says_that_ran_all_along(tmp_path: Path):
    lake = LaidLake(tmp_path)
    rules = alert_rules(MOVE + SPIKE)
    lake.land("trades", *minute_trades(0, 66))
    lake.log("trades", *minute_trades(66, 67))
    now = START + 67 * MINUTE
    engines = []
    read = files_reader(lake.home, at_us=time.time_ns() // 1000, exchanges=("okx",))
    for filled in (feed, warm):
        engine = Engine(rules.values(), Firing())
        if filled is feed:
            feed(engine, read, since=START, until=now)
        else:
            warm(engine, read, now=now)
        assert engine.take() == []
        for row in loud(67):
            at, number = row["timestamp"], row["ordinal"]
            market = engine.market("okx", "BTC/USDT")
            market.trade(at, number, str(number), price=row["price"], amount=row["amount"], sold=False, local=row["local_timestamp"])
        engines.append(engine.take())

    assert len(engines[0]) == 2
    assert engines[0] == engines[1]


def test_other_exchanges_stay_unread_where_some_are_named(tmp_path: Path):
    lake = LaidLake(tmp_path)
    lake.land("trades", *minute_trades(0, 1), *loud(1))
    engine = Engine(alert_rules(MOVE).values(), Firing())

    feed(engine, files_reader(lake.home, at_us=time.time_ns() // 1000, exchanges=("kraken",)), since=START, until=START + HOUR)

    assert engine.take() == []


def test_conditions_are_asked_of_tables_of_the_lake_within_the_stretch(tmp_path: Path):
    lake = LaidLake(tmp_path)
    lake.land("trades", *minute_trades(0, 3), *loud(3), *minute_trades(4, 6), *loud(6))
    lake.compact("trades", START)
    lake.materialise(START)
    rules = alert_rules(
        '[rules.busy]\nkind = "sql"\ntable = "candles_1m"\nvalue = "volume"\ncooldown_seconds = 0\n'
        'where = { LOW = "volume > 10", HIGH = "volume > 10 and close > 103" }\n'
    )
    rule = rules["busy"]
    assert isinstance(rule, Condition)

    found = fired_by_sql(lake.home, rule, START)
    half = fired_by_sql(lake.home, rule, START, until=START + 5 * MINUTE)

    place = {(each.exchange, each.symbol, each.subject, each.severity, each.value) for each in found}
    assert place == {("okx", "BTC/USDT", "1m", "HIGH", 60.0)}
    assert [each.timestamp for each in found] == [START + 3 * MINUTE, START + 6 * MINUTE]
    assert found[0].details == {"close": 104.0, "volume": 60.0}
    assert half == found[:1]
    tested = in_lake(lake, rules, since=START, until=START + HOUR)
    assert [alert.timestamp for alert in tested.alerts] == [each.timestamp for each in found]
    assert tested.alerts[0].message == "okx BTC/USDT 1m: busy holds: close 104, volume 60 (HIGH)"


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ('table = "candles_1m"\nwhere = "rsi > 3"', "rule 'x' cannot be evaluated on candles_1m: Binder Error: "),
        ('table = "candel"\nwhere = "true"', "rule 'x' cannot be evaluated on candel: Catalog Error: "),
        ('table = "dead_letters"\nwhere = "true"', "rule 'x': table is 'dead_letters', allowed is a table with a column timestamp"),
    ],
)
def test_a_condition_that_cannot_be_asked_names_its_rule(tmp_path: Path, keys: str, says: str):
    lake = LaidLake(tmp_path)
    rule = alert_rules(f'[rules.x]\nkind = "sql"\n{keys}')["x"]
    assert isinstance(rule, Condition)

    with pytest.raises(AlertRuleError) as raised:
        fired_by_sql(lake.home, rule, START)

    assert str(raised.value).startswith(says)


def test_recorded_trades_say_which_rules_they_answer(tmp_path: Path, recordings: Path):
    decode("binance", [recordings / "binance" / "usdm_btcusdt_depth_trade_bookticker_20240718.jsonl.gz"], out=tmp_path)
    text = MOVE.replace("3.0", "0.1") + '[rules.full]\nkind = "disk"\n[rules.rate]\nkind = "funding"\nthresholds = { LOW = 1 }\n'

    with closing(connect_files(tmp_path, None)) as connection:
        since, until = span(connection)
        found = backtest(connection, alert_rules(text), since=since, until=until)

    assert found.alerts
    assert {alert.symbol for alert in found.alerts} == {"BTC/USDT:USDT"}
    assert all(since <= alert.timestamp < until and (alert.value or 0) >= 0.1 for alert in found.alerts)
    assert set(found.left_out) == {"full", "rate"}


def test_a_directory_without_rows_is_refused(tmp_path: Path):
    with pytest.raises(AlertRuleError, match=r"holds no rows, expected files such as trades\.parquet"):
        connect_files(tmp_path, None)
