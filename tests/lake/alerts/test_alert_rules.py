"""alerts.toml: a wrong file names the rule, the key, the value and what is allowed; what is left out has its documented value."""

from __future__ import annotations

from pathlib import Path

import pytest

from lake.alerts.rules import KINDS, Condition, HealthRule, WindowRule, load_rules, parse_rules
from lake.alerts.settings import AlertSettings
from lake.errors import AlertRuleError

ROOT = Path(__file__).resolve().parents[3]
MOVE = '[rules.mine]\nkind = "price_move"\n'


def settings(**values: object) -> AlertSettings:
    return AlertSettings(_env_file=None, **values)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[rules.mine]\n", "rule 'mine' in alerts.toml: kind is None, allowed are liquidation_volume, price_move,"),
        ('[rules.mine]\nkind = "spred"\n', "rule 'mine' in alerts.toml: kind is 'spred' (did you mean 'spread'?), allowed are"),
        (MOVE, "rule 'mine' in alerts.toml: thresholds is missing, allowed is a table such as"),
        (MOVE + "threshold = 1", "rule 'mine' in alerts.toml: key 'threshold' is unknown (did you mean 'thresholds'?); allowed are kind,"),
        (MOVE + "thresholds = 1", "rule 'mine' in alerts.toml: thresholds is 1, allowed is a valid dictionary"),
        (
            MOVE + "thresholds = { SEVERE = 1 }",
            "rule 'mine' in alerts.toml: thresholds.SEVERE is 'SEVERE', allowed is 'LOW', 'MEDIUM', 'HIGH' or",
        ),
        (MOVE + 'thresholds = { LOW = "much" }', "rule 'mine' in alerts.toml: thresholds.LOW is 'much', allowed is a valid number"),
        (MOVE + "thresholds = { LOW = 0 }", "rule 'mine' in alerts.toml: thresholds.LOW is 0, allowed is greater than 0"),
        (MOVE + "thresholds = { LOW = inf }", "rule 'mine' in alerts.toml: thresholds.LOW is inf, allowed is a finite number"),
        (
            MOVE + "thresholds = { HIGH = 1.0, LOW = 2.0 }",
            "rule 'mine' in alerts.toml: thresholds.HIGH is 1, allowed is more than the 2 of LOW",
        ),
        (
            MOVE + 'thresholds = { LOW = 1 }\ndirection = "left"',
            "rule 'mine' in alerts.toml: direction is 'left', allowed is 'any', 'up' or",
        ),
        (MOVE + "thresholds = { LOW = 1 }\nwindow_seconds = 0", "rule 'mine' in alerts.toml: window_seconds is 0, allowed is greater than"),
        (
            MOVE + "thresholds = { LOW = 1 }\nsymbols = []",
            "rule 'mine' in alerts.toml: symbols is [], allowed is tuple should have at least",
        ),
        (
            MOVE + "thresholds = { LOW = 1 }\ncooldown_seconds = -1",
            "rule 'mine' in alerts.toml: cooldown_seconds is -1, allowed is greater",
        ),
        ('[rules.Mine]\nkind = "disk"\n', "rule 'Mine' in alerts.toml: name is 'Mine', allowed is"),
        ('[rules.mine]\nkind = "sql"\ntable = "candles"\n', "rule 'mine' in alerts.toml: where is missing"),
        ('[rules.mine]\nkind = "sql"\ntable = "a b"\nwhere = "true"\n', "rule 'mine' in alerts.toml: table is 'a b', allowed is"),
        (
            '[rules.mine]\nkind = "sql"\ntable = "a"\nwhere = "true"\nseverity = "BAD"\n',
            "rule 'mine' in alerts.toml: where.BAD is 'BAD', allowed is",
        ),
        (
            '[rules.mine]\nkind = "sql"\ntable = "a"\nwhere = { LOW = "true" }\nseverity = "LOW"\n',
            "rule 'mine' in alerts.toml: severity is 'LOW', allowed is none beside a where",
        ),
        (
            '[rules.mine]\nkind = "sql"\ntable = "a"\nwhere = "true"\nthresholds = { LOW = 1 }\n',
            "rule 'mine' in alerts.toml: thresholds is {'LOW': 1}, allowed is none",
        ),
        ("[rule.mine]\n", "key 'rule' in alerts.toml is unknown (did you mean 'rules'?); allowed are rules, channels"),
        ("rules = 3\n", "rules in alerts.toml is 3, allowed is a table for each rule"),
        ("[rules]\nmine = 3\n", "rule 'mine' in alerts.toml is 3, allowed is a table"),
        ("[rules.mine\n", "alert rules alerts.toml are no TOML: "),
    ],
)
def test_a_wrong_file_says_what_is_wrong_and_what_is_allowed(text: str, said: str):
    with pytest.raises(AlertRuleError) as raised:
        parse_rules(text, settings())

    assert str(raised.value).startswith(said)
    assert "\n" not in str(raised.value)


def test_what_a_rule_leaves_out_comes_from_the_settings():
    given = settings(alert_cooldown_sec=60, window_seconds=120, liquidation_threshold_usd=1000)

    rules = parse_rules('[rules.a]\nkind = "liquidation_volume"\n[rules.b]\nkind = "disk"\ncooldown_seconds = 7\n', given)

    burst, disk = rules["a"], rules["b"]
    assert isinstance(burst, WindowRule)
    assert (burst.window_seconds, burst.cooldown_seconds) == (120, 60.0)
    assert burst.thresholds == {"MEDIUM": 1000.0, "HIGH": 5000.0, "CRITICAL": 20_000.0}
    assert (disk.cooldown_seconds, disk.thresholds) == (7.0, {"HIGH": 90.0, "CRITICAL": 97.0})


def test_settings_are_read_under_the_names_people_have(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ALERT_COOLDOWN_SEC", "17")
    monkeypatch.setenv("WINDOW_SECONDS", "90")
    monkeypatch.setenv("LIQUIDATION_THRESHOLD_USD", "5")

    given = settings()

    assert (given.alert_cooldown_sec, given.window_seconds, given.liquidation_threshold_usd) == (17.0, 90, 5.0)


def test_a_value_reaches_the_gravest_severity_whose_threshold_it_is_at():
    rule = parse_rules(MOVE + "thresholds = { CRITICAL = 9, LOW = 1, HIGH = 4 }", settings())["mine"]

    assert [rule.reached(value) for value in (0.99, 1.0, 3.9, 4.0, 1e9)] == [
        None,
        ("LOW", 1.0),
        ("LOW", 1.0),
        ("HIGH", 4.0),
        ("CRITICAL", 9.0),
    ]


def test_a_condition_of_one_expression_is_medium_unless_it_says_more():
    text = '[rules.a]\nkind = "sql"\ntable = "indicators"\nwhere = "rsi14 < 30"\n'

    plain, said = parse_rules(text, settings())["a"], parse_rules(text + 'severity = "HIGH"\n', settings())["a"]

    assert isinstance(plain, Condition)
    assert isinstance(said, Condition)
    assert (plain.where, said.where) == ({"MEDIUM": "rsi14 < 30"}, {"HIGH": "rsi14 < 30"})


def test_without_the_default_file_there_are_no_rules_and_a_named_one_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)

    assert load_rules(settings()) == {}
    with pytest.raises(AlertRuleError, match=r"alert rules mine\.toml cannot be read: No such file"):
        load_rules(settings(alerts="mine.toml"))


def test_the_shipped_file_has_a_rule_of_every_kind():
    rules = load_rules(settings(alerts=ROOT / "alerts.toml"))

    assert {rule.kind for rule in rules.values()} == set(KINDS)


def test_the_page_tells_every_kind_with_its_unit_and_keys():
    page = (ROOT / "docs" / "alerts.md").read_text()
    shared = {*HealthRule.model_fields, "window_seconds"}

    for kind, model in KINDS.items():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{kind}` |")]
        assert f"| {model.unit} |" in row or not model.unit, kind
        for key in set(model.model_fields) - shared:
            assert f"`{key}`" in row, (kind, key)
    for key in shared - {"name", "kind"}:
        assert f"`{key}`" in page, key
