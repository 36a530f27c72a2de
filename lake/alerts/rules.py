"""alerts.toml: the rules that say when an alert fires.

Put here: what a rule may say, reading and validating the file, each error one sentence that names rule, key, value and what is allowed.
Keep out: evaluating a rule (`engine`, `conditions`, `health`), cooldown and grouping (`firing`), the channels alerts go to.

    [rules.btc_move]                                  # the name of the rule
    kind = "price_move"                               # one of KINDS
    symbols = ["BTC/*"]                               # patterns; default every symbol, likewise `exchanges` and `subjects`
    thresholds = { MEDIUM = 1.0, CRITICAL = 5.0 }     # value from which each severity is reached, in `unit` of the kind
    cooldown_seconds = 600                            # default ALERT_COOLDOWN_SEC
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from lake.alerts.settings import AlertSettings
from lake.errors import AlertRuleError
from lake.flow_datasets import IMBALANCE_LEVELS, SEVERITIES
from lake.transforms.liquidation_windows import SEVERITY_TIMES

Severity = Literal["LOW", "MEDIUM", "HIGH", "CRITICAL"]
RANK: Final[dict[str, int]] = {name: rank for rank, name in enumerate(SEVERITIES)}
"""Order of severities, the gravest last."""

_NAME: Final = r"^[a-z][a-z0-9_]{0,59}$"
_TOP: Final = ("rules", "channels")
"""Tables of the file; `channels` is read by whoever delivers."""


class Rule(BaseModel):
    """What every rule says. `thresholds` grow with severity; `unit` is theirs."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    unit: ClassVar[str] = ""
    default_thresholds: ClassVar[Mapping[str, float]] = {}

    name: str = Field(pattern=_NAME)
    kind: str
    exchanges: tuple[str, ...] = Field(default=("*",), min_length=1, description="Patterns of exchange ids it speaks of.")
    symbols: tuple[str, ...] = Field(default=("*",), min_length=1, description="Patterns of symbols it speaks of, e.g. BTC/*.")
    thresholds: dict[Severity, Annotated[float, Field(gt=0)]] = Field(default_factory=dict, description="By severity, from which value on.")
    cooldown_seconds: float = Field(default=300.0, ge=0, description="How long it stays quiet about a market after an alert.")
    group_seconds: float = Field(default=5.0, ge=0, le=3600, description="Alerts of the rule within this time are one message.")
    channels: tuple[str, ...] = Field(default=(), description="Names of the channels its alerts go to; every one where left out.")

    @model_validator(mode="after")
    def _grow(self) -> Rule:
        ordered = [(name, self.thresholds[name]) for name in SEVERITIES if name in self.thresholds]
        for (lower, below), (higher, above) in pairwise(ordered):
            if above <= below:
                msg = f"thresholds.{higher} is {above:g}, allowed is more than the {below:g} of {lower}"
                raise ValueError(msg)
        return self

    @cached_property
    def steps(self) -> tuple[tuple[float, Severity], ...]:
        """(threshold, severity), gravest first."""
        return tuple(sorted(((value, name) for name, value in self.thresholds.items()), reverse=True))

    @cached_property
    def least(self) -> float:
        """The lowest threshold; infinite where there is none."""
        return min(self.thresholds.values(), default=float("inf"))

    def reached(self, value: float) -> tuple[Severity, float] | None:
        """The gravest severity that `value` reaches with its threshold, None for none. A value at a threshold reaches it."""
        return next(((name, threshold) for threshold, name in self.steps if value >= threshold), None)

    def concerns(self, exchange: str, symbol: str) -> bool:
        """Whether it speaks of that market."""
        return _any(self.exchanges, exchange) and _any(self.symbols, symbol)


class WindowRule(Rule):
    """A rule over a rolling window of events."""

    window_seconds: int = Field(default=300, ge=1, le=86_400, description="Length of the window.")


class LiquidationVolume(WindowRule):
    """Value of forced orders in the window, USD."""

    kind: Literal["liquidation_volume"]
    unit: ClassVar[str] = "USD"


class PriceMove(WindowRule):
    """Price change from the first trade in the window to the last, per cent, whichever way `direction` says."""

    kind: Literal["price_move"]
    unit: ClassVar[str] = "pct"
    direction: Literal["any", "up", "down"] = "any"


class VolumeSpike(WindowRule):
    """Volume of the window over what a window of that length had on average in the whole minutes of the history before it."""

    kind: Literal["volume_spike"]
    unit: ClassVar[str] = "times"
    history_seconds: int = Field(default=3600, ge=60, le=86_400, multiple_of=60, description="Length of the history, whole minutes.")


class Spread(Rule):
    """Best ask less best bid over their mid, basis points, of each row of book_snapshots."""

    kind: Literal["spread"]
    unit: ClassVar[str] = "bps"


class Imbalance(Rule):
    """|bids - asks| / (bids + asks) of the amounts of the best `levels` a side, of each row of book_snapshots."""

    kind: Literal["imbalance"]
    unit: ClassVar[str] = "fraction"
    levels: int = Field(default=IMBALANCE_LEVELS[1], ge=1, le=IMBALANCE_LEVELS[-1])


class Funding(Rule):
    """Size of the funding rate, a fraction of the position an interval, whichever its sign."""

    kind: Literal["funding"]
    unit: ClassVar[str] = "fraction"


class Condition(Rule):
    """A boolean SQL expression over the columns of a table or view; each row it holds for fires, at its `timestamp`.

    `where` is one expression with `severity` beside it, or one for each severity: `where = { MEDIUM = "…", HIGH = "…" }`.
    `value` is an SQL expression whose figure is kept with the alert.
    """

    kind: Literal["sql"]
    table: str = Field(pattern=r"^[a-z_][a-z0-9_]*$", description="Dataset or view, e.g. indicators.")
    where: dict[Severity, Annotated[str, Field(min_length=1)]] = Field(min_length=1)
    value: str | None = Field(default=None, min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _one_severity(cls, given: Any) -> Any:
        if isinstance(given, dict):
            given = dict(given)
            severity = given.pop("severity", None)
            if isinstance(given.get("where"), str):
                given["where"] = {"MEDIUM" if severity is None else severity: given["where"]}
            elif severity is not None:
                msg = f"severity is {severity!r}, allowed is none beside a where that names severities"
                raise ValueError(msg)
            if "thresholds" in given:
                msg = f"thresholds is {given['thresholds']!r}, allowed is none: a condition has severity or where by severity"
                raise ValueError(msg)
        return given


class HealthRule(Rule):
    """A rule over the data itself; `subjects` are patterns of what it speaks of."""

    subjects: tuple[str, ...] = Field(default=("*",), min_length=1)

    def speaks_of(self, subject: str) -> bool:
        """Whether the subject is one of its."""
        return _any(self.subjects, subject)


class SilentChannel(HealthRule):
    """Seconds since a stream last delivered; the subject is its channel. Silence of liquidations and derivatives is normal."""

    kind: Literal["silent_channel"]
    unit: ClassVar[str] = "seconds"
    subjects: tuple[str, ...] = Field(default=("trades", "book"), min_length=1)


class GapRate(HealthRule):
    """Gaps noticed in the window in one dataset of a market; the subject is the dataset."""

    kind: Literal["gap_rate"]
    unit: ClassVar[str] = "gaps"
    window_seconds: int = Field(default=300, ge=1, le=86_400)


class DeadLetters(HealthRule):
    """Frames of an exchange in the window that could not be decoded; the subject is the connection, the symbol is empty."""

    kind: Literal["dead_letters"]
    unit: ClassVar[str] = "frames"
    window_seconds: int = Field(default=300, ge=1, le=86_400)


class StalePartition(HealthRule):
    """Seconds a partition is overdue; the subject is its asset."""

    kind: Literal["stale_partition"]
    unit: ClassVar[str] = "seconds"


class FailedCheck(HealthRule):
    """Failures of an asset check; the subject is asset:check."""

    kind: Literal["failed_check"]
    unit: ClassVar[str] = "failures"
    default_thresholds: ClassVar[Mapping[str, float]] = {"HIGH": 1.0}


class FailedRun(HealthRule):
    """Failed runs; the subject is the job."""

    kind: Literal["failed_run"]
    unit: ClassVar[str] = "failures"
    default_thresholds: ClassVar[Mapping[str, float]] = {"HIGH": 1.0}


class Disk(HealthRule):
    """How full the disk of the lake is, per cent; the subject is `disk`."""

    kind: Literal["disk"]
    unit: ClassVar[str] = "pct"
    default_thresholds: ClassVar[Mapping[str, float]] = {"HIGH": 90.0, "CRITICAL": 97.0}


KINDS: Final[dict[str, type[Rule]]] = {
    "liquidation_volume": LiquidationVolume,
    "price_move": PriceMove,
    "volume_spike": VolumeSpike,
    "spread": Spread,
    "imbalance": Imbalance,
    "funding": Funding,
    "sql": Condition,
    "silent_channel": SilentChannel,
    "gap_rate": GapRate,
    "dead_letters": DeadLetters,
    "stale_partition": StalePartition,
    "failed_check": FailedCheck,
    "failed_run": FailedRun,
    "disk": Disk,
}
"""Every kind of rule. The first six, silent_channel, gap_rate and dead_letters are evaluated where rows are landed; the rest elsewhere."""


def load_rules(settings: AlertSettings) -> dict[str, Rule]:
    """Rules by name, of the file the settings name; none where it is the default and absent. Raises `AlertRuleError`."""
    path = settings.alerts
    if not path.exists() and "alerts" not in settings.model_fields_set:
        return {}
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise AlertRuleError(f"alert rules {path} cannot be read: {reason}") from error
    return parse_rules(text, settings, source=str(path))


def parse_rules(text: str, settings: AlertSettings, *, source: str = "alerts.toml") -> dict[str, Rule]:
    """Rules by name, in the order of the text. Raises `AlertRuleError`."""
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise AlertRuleError(f"alert rules {source} are no TOML: {error}") from error
    for name in found:
        if name not in _TOP:
            raise AlertRuleError(f"key {name!r} in {source} is unknown{_near(name, _TOP)}; allowed are {', '.join(_TOP)}")
    tables = found.get("rules", {})
    if not isinstance(tables, dict):
        raise AlertRuleError(f"rules in {source} is {tables!r}, allowed is a table for each rule, e.g. [rules.btc_move]")
    return {name: _rule(name, table, settings, source=source) for name, table in tables.items()}


def _rule(name: str, table: object, settings: AlertSettings, *, source: str) -> Rule:
    where = f"rule {name!r} in {source}"
    if not isinstance(table, dict):
        raise AlertRuleError(f"{where} is {table!r}, allowed is a table")
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        near = _near(kind, KINDS) if isinstance(kind, str) else ""
        raise AlertRuleError(f"{where}: kind is {kind!r}{near}, allowed are {', '.join(KINDS)}")
    model = KINDS[kind]
    keys = [*model.model_fields, *(["severity"] if model is Condition else [])]
    for key in table:
        if key not in keys or key == "name":
            allowed = [each for each in keys if each != "name"]
            raise AlertRuleError(f"{where}: key {key!r} is unknown{_near(key, allowed)}; allowed are {', '.join(allowed)}")
    filled = {**_defaults(model, settings), **table, "name": name}
    try:
        rule = TypeAdapter(model).validate_python(filled)
    except ValidationError as error:
        raise AlertRuleError(f"{where}: {_sentence(error)}") from None
    if model is not Condition and not rule.thresholds:
        raise AlertRuleError(f"{where}: thresholds is missing, allowed is a table such as {{ MEDIUM = 1.0, HIGH = 5.0 }} in {model.unit}")
    return rule


def _defaults(model: type[Rule], settings: AlertSettings) -> dict[str, Any]:
    """What a rule of the kind has where its table does not say."""
    filled: dict[str, Any] = {"cooldown_seconds": settings.alert_cooldown_sec}
    if issubclass(model, WindowRule):
        filled["window_seconds"] = settings.window_seconds
    if model is LiquidationVolume:
        filled["thresholds"] = {
            name: times * settings.liquidation_threshold_usd for name, times in zip(SEVERITIES[1:], SEVERITY_TIMES, strict=True)
        }
    elif model.default_thresholds:
        filled["thresholds"] = dict(model.default_thresholds)
    return filled


def _sentence(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in problem["loc"] if part != "[key]")
    said = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error" and not key:
        return said
    if problem["type"] == "missing":
        return f"{key} is missing, allowed is a value for it"
    allowed = said.removeprefix("Input should be ")
    return f"{key} is {problem['input']!r}, allowed is {allowed[0].lower()}{allowed[1:]}"


def _any(patterns: tuple[str, ...], text: str) -> bool:
    return any(pattern == "*" or fnmatchcase(text, pattern) for pattern in patterns)


def _near(name: str, known: Any) -> str:
    near = get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
