"""Every kind of rule: it fires at its threshold and not just below, cools down, breaks through when it gets graver, and speaks again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass

import duckdb
import pytest

from lake.alerts import health
from lake.alerts.conditions import rows_that_hold
from lake.alerts.engine import Engine
from lake.alerts.firing import Alert, Firing, Measured, batches
from lake.alerts.rules import KINDS, Condition, Rule, parse_rules
from lake.alerts.settings import AlertSettings

START = 1_795_219_200_000_000
SECOND = 1_000_000
MINUTE = 60 * SECOND
COOLDOWN = 600

Play = Callable[[Rule, list[tuple[int, float]]], list[Alert]]
"""Plays (instant, figure) to a rule, and gives what fired."""


@dataclass(frozen=True)
class Case:
    """Keys of a rule, and figures: one just below its LOW threshold, one at it, one at its HIGH threshold."""

    below: float
    low: float
    high: float
    play: Play
    keys: str = ""


def alert_rules(text: str) -> dict[str, Rule]:
    return parse_rules(text, AlertSettings(_env_file=None))


def fed(each: Callable[[Engine, int, float], None], *, before: Callable[[Engine], None] = lambda _: None) -> Play:
    """A play that feeds an engine what makes each figure."""

    def play(rule: Rule, steps: list[tuple[int, float]]) -> list[Alert]:
        engine = Engine([rule], Firing())
        before(engine)
        for instant, figure in steps:
            each(engine, instant, figure)
        return engine.take()

    return play


def offered(measured: Callable[[int, float], Measured]) -> Play:
    """A play that offers each figure as it is."""

    def play(rule: Rule, steps: list[tuple[int, float]]) -> list[Alert]:
        firing = Firing()
        found = (firing.offer(rule, measured(instant, figure), local=instant) for instant, figure in steps)
        return [alert for alert in found if alert is not None]

    return play


def trade(engine: Engine, at: int, price: float, amount: float = 1.0) -> None:
    engine.market("binance", "BTC/USDT").trade(at, 0, f"{at}-{price}", price=price, amount=amount, sold=False, local=at)


def move(engine: Engine, at: int, figure: float) -> None:
    trade(engine, at - 1, 100.0)
    trade(engine, at, 100.0 - figure)


def spike(engine: Engine, at: int, figure: float) -> None:
    trade(engine, at - 2 * MINUTE, 100.0, 8.0)
    trade(engine, at, 100.0, 8.0 * figure)


def force(engine: Engine, at: int, figure: float) -> None:
    for side, share in (("sell", 0.75), ("buy", 0.25)):
        engine.market("binance", "BTC/USDT").liquidation(
            at, 0, f"{at}{side}", price=100.0, amount=figure * share / 100, value_usd=figure * share, side=side, local=at
        )


def spread(engine: Engine, at: int, figure: float) -> None:
    engine.market("binance", "BTC/USDT").top(at, ([10_000.0 - figure / 2], [1.0]), ([10_000.0 + figure / 2], [1.0]), local=at)


def lean(engine: Engine, at: int, figure: float) -> None:
    bids, asks = ([99.0, 98.0, 1.0], [0.5 - figure / 2, 0.5 - figure / 2, 1e9]), ([101.0, 102.0], [0.5 + figure / 2, 0.5 + figure / 2])
    engine.market("binance", "BTC/USDT").top(None, bids, asks, local=at)


def gaps(engine: Engine, at: int, figure: float) -> None:
    for number in range(int(figure)):
        for _ in ("opened", "healed"):
            engine.gap("binance", "BTC/USDT", "trades", began=at + number, local=at)


def letters(engine: Engine, at: int, figure: float) -> None:
    for _ in range(int(figure)):
        engine.dead_letter("binance", "binance-spot-0", local=at)


def conditions(rule: Rule, steps: list[tuple[int, float]]) -> list[Alert]:
    assert isinstance(rule, Condition)
    with closing(duckdb.connect()) as connection:
        connection.execute("create table indicators (exchange text, symbol text, timeframe text, timestamp timestamptz, rsi14 double)")
        rows = [("binance", "BTC/USDT", "1h", instant, figure) for instant, figure in steps]
        connection.executemany("insert into indicators values (?, ?, ?, make_timestamptz(?), ?)", rows)
        found = rows_that_hold(connection, rule)
    firing = Firing()
    return [alert for each in found if (alert := firing.offer(rule, each, local=each.timestamp)) is not None]


NUMBERS = "thresholds = { LOW = 2.0, HIGH = 4.0 }"
CASES: dict[str, Case] = {
    "liquidation_volume": Case(1.99, 2.0, 4.0, fed(force), f"window_seconds = 60\n{NUMBERS}"),
    "price_move": Case(1.99, 2.0, 4.0, fed(move), f'direction = "down"\nwindow_seconds = 60\n{NUMBERS}'),
    "volume_spike": Case(
        1.99,
        2.0,
        4.0,
        fed(spike, before=lambda engine: trade(engine, START - 60 * MINUTE, 100.0)),
        f"window_seconds = 60\nhistory_seconds = 60\n{NUMBERS}",
    ),
    "spread": Case(1.99, 2.0, 4.0, fed(spread), NUMBERS),
    "imbalance": Case(0.499, 0.5, 0.75, fed(lean), "levels = 2\nthresholds = { LOW = 0.5, HIGH = 0.75 }"),
    "funding": Case(
        0.00099,
        0.001,
        0.003,
        fed(lambda engine, at, figure: engine.market("binance", "BTC/USDT").funding(at, -figure, local=at)),
        "thresholds = { LOW = 0.001, HIGH = 0.003 }",
    ),
    "sql": Case(1.99, 2.0, 4.0, conditions, 'table = "indicators"\nvalue = "rsi14"\nwhere = { LOW = "rsi14 >= 2", HIGH = "rsi14 >= 4" }'),
    "silent_channel": Case(
        1.99,
        2.0,
        4.0,
        fed(lambda engine, at, figure: engine.silence("binance", "BTC/USDT", "trades", last=at - int(figure * SECOND), now=at)),
        NUMBERS,
    ),
    "gap_rate": Case(1, 2, 4, fed(gaps), f"window_seconds = 60\n{NUMBERS}"),
    "dead_letters": Case(1, 2, 4, fed(letters), f"window_seconds = 60\n{NUMBERS}"),
    "stale_partition": Case(
        1.99,
        2.0,
        4.0,
        offered(lambda at, figure: health.stale_partition("candles_1m", "2026-11-21-07:00", due=at - int(figure * SECOND), now=at)),
        NUMBERS,
    ),
    "failed_check": Case(
        1, 2, 4, offered(lambda at, figure: health.failed_check("trades", "prices", at=at, failures=int(figure))), NUMBERS
    ),
    "failed_run": Case(1, 2, 4, offered(lambda at, figure: health.failed_run("hourly", "run", at=at, failures=int(figure))), NUMBERS),
    "disk": Case(0.019, 0.02, 0.04, offered(lambda at, figure: health.disk(used=int(figure * 1000), total=1000, now=at)), NUMBERS),
}


def ruled(kind: str, more: str = "") -> Rule:
    return alert_rules(f'[rules.mine]\nkind = "{kind}"\ncooldown_seconds = {COOLDOWN}\n{CASES[kind].keys}\n{more}')["mine"]


def severities(alerts: Iterable[Alert]) -> list[tuple[int, str]]:
    return [((alert.timestamp - START) // SECOND, alert.severity) for alert in alerts]


def test_every_kind_is_tried():
    assert set(CASES) == set(KINDS)


@pytest.mark.parametrize("kind", CASES)
def test_it_does_not_fire_just_below_its_threshold_and_fires_at_it(kind: str):
    case = CASES[kind]

    below = case.play(ruled(kind), [(START + 1200 * SECOND, case.below)])
    at = case.play(ruled(kind), [(START + 1200 * SECOND, case.low)])

    assert below == []
    assert severities(at) == [(1200, "LOW")]
    assert at[0].kind == kind
    assert kind == "sql" or (at[0].threshold, at[0].unit) == (ruled(kind).least, KINDS[kind].unit)


@pytest.mark.parametrize("kind", CASES)
def test_it_cools_down_breaks_through_when_it_gets_graver_and_speaks_again_afterwards(kind: str):
    case = CASES[kind]
    seconds = {1200: case.low, 1500: case.low, 1740: case.high, 1920: case.high, 2160: case.low, 2340: case.low}

    alerts = case.play(ruled(kind), [(START + second * SECOND, figure) for second, figure in seconds.items()])

    assert severities(alerts) == [(1200, "LOW"), (1740, "HIGH"), (2340, "LOW")]
    assert len({alert.alert_id for alert in alerts}) == 3


@pytest.mark.parametrize("kind", [kind for kind in CASES if kind in {"price_move", "sql", "spread", "gap_rate"}])
def test_it_speaks_of_the_markets_it_names_alone(kind: str):
    case = CASES[kind]

    assert case.play(ruled(kind, 'symbols = ["ETH/*"]'), [(START + 1200 * SECOND, case.high)]) == []
    assert case.play(ruled(kind, 'exchanges = ["okx", "bin*"]'), [(START + 1200 * SECOND, case.low)]) != []


def test_a_health_rule_speaks_of_the_subjects_it_names_alone():
    rule = alert_rules('[rules.checks]\nkind = "failed_check"\nsubjects = ["candles_*"]')["checks"]
    firing = Firing()

    assert firing.offer(rule, health.failed_check("trades", "prices", at=START), local=START) is None
    assert firing.offer(rule, health.failed_check("candles_1m", "prices", at=START), local=START) is not None


def test_markets_cool_down_each_for_itself():
    rule = alert_rules('[rules.f]\nkind = "funding"\nthresholds = { LOW = 0.001 }')["f"]
    engine = Engine([rule], Firing())

    for symbol in ("BTC/USDT:USDT", "ETH/USDT:USDT", "BTC/USDT:USDT"):
        engine.market("binance", symbol).funding(START, 0.002, local=START)

    assert [alert.symbol for alert in engine.take()] == ["BTC/USDT:USDT", "ETH/USDT:USDT"]


def test_a_move_of_the_whole_market_is_one_group_and_what_comes_later_another():
    rule = alert_rules('[rules.f]\nkind = "funding"\ngroup_seconds = 5\nthresholds = { LOW = 0.001 }')["f"]
    engine = Engine([rule], Firing())

    for number in range(500):
        engine.market("binance", f"C{number}/USDT:USDT").funding(START + number * 10_000, 0.002, local=START)
    engine.market("binance", "BTC/USDT:USDT").funding(START + 6 * SECOND, 0.002, local=START)

    alerts = engine.take()
    assert len({alert.group_key for alert in alerts[:500]}) == 1
    assert alerts[500].group_key != alerts[0].group_key


def test_a_state_restored_from_rows_says_what_the_state_before_would_have_said():
    rules = alert_rules('[rules.f]\nkind = "funding"\ncooldown_seconds = 600\nthresholds = { LOW = 0.001, HIGH = 0.003 }')
    first = Firing()
    alert = first.offer(rules["f"], Measured(timestamp=START, value=0.002, exchange="okx", symbol="X"), local=START)
    assert alert is not None
    rows = batches([alert])["alerts"].to_pylist()
    second = Firing()
    second.restore([{**row, "timestamp": START, "local_timestamp": START} for row in rows])

    def say(at: int, value: float) -> Alert | None:
        return second.offer(rules["f"], Measured(timestamp=at, value=value, exchange="okx", symbol="X"), local=at)

    assert say(START + SECOND, 0.002) is None
    graver = say(START + 2 * SECOND, 0.004)
    assert graver is not None
    assert (graver.severity, graver.group_key) == ("HIGH", alert.group_key)


def test_a_row_that_somebody_else_grouped_cools_down_and_opens_a_group_of_its_own():
    rules = alert_rules('[rules.f]\nkind = "funding"\ncooldown_seconds = 600\nthresholds = { LOW = 0.001, HIGH = 0.003 }')
    foreign = {"rule": "f", "exchange": "okx", "symbol": "X", "subject": "", "severity": "LOW", "group_key": "theirs"}
    firing = Firing()
    firing.restore([{**foreign, "timestamp": START, "local_timestamp": START}])

    def say(at: int, value: float) -> Alert | None:
        return firing.offer(rules["f"], Measured(timestamp=at, value=value, exchange="okx", symbol="X"), local=at)

    assert say(START + SECOND, 0.002) is None
    graver = say(START + 2 * SECOND, 0.004)
    assert graver is not None
    assert graver.group_key == f"f@{START + 2 * SECOND}"


def test_the_same_figure_gives_the_same_id_and_another_severity_another():
    rule = alert_rules('[rules.f]\nkind = "funding"\nthresholds = { LOW = 0.001, HIGH = 0.003 }')["f"]
    figures = [0.001, 0.002, 0.004]

    found = [Firing().offer(rule, Measured(timestamp=START, value=each), local=START + number) for number, each in enumerate(figures)]

    ids = [alert.alert_id for alert in found if alert is not None]
    assert ids[0] == ids[1] != ids[2]


def test_old_trades_that_arrive_late_are_no_news():
    rule = alert_rules('[rules.m]\nkind = "price_move"\nwindow_seconds = 60\nthresholds = { LOW = 1.0 }')["m"]
    engine = Engine([rule], Firing())
    market = engine.market("binance", "BTC/USDT")

    for number, price in enumerate((100.0, 150.0)):
        market.trade(START + number, 0, number, price=price, amount=1.0, sold=False, local=START + 61 * SECOND)

    assert engine.take() == []


def test_a_price_move_knows_its_direction():
    text = '[rules.{0}]\nkind = "price_move"\ndirection = "{0}"\nwindow_seconds = 60\nthresholds = {{ LOW = 1.0 }}\n'
    engine = Engine(alert_rules("".join(text.format(each) for each in ("any", "up", "down"))).values(), Firing())

    trade(engine, START, 100.0)
    trade(engine, START + 1, 102.0)

    assert [alert.rule for alert in engine.take()] == ["any", "up"]
