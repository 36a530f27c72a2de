"""Settings of TimescaleDB, read once at start from `TICKHOUSE_…` variables, the names people have already, and `.env`.

Put here: where the server is, how patiently it is asked, and what it keeps. Keep out: what is synced (`lake.timescale.tables`).
"""

from __future__ import annotations

from typing import Any, Final, Self
from urllib.parse import quote

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from lake.timescale.errors import TimescaleSettingError
from lake.timescale.relations import RELATIONS

_SCHEMES: Final = ("postgresql://", "postgres://")
LEAST_RETENTION_DAYS: Final = {"h1_data": 10, "d1_data": 400}
"""Aggregates are made of these, and their policies look back some days (of 1d: months), never behind the retention."""


def _pairs(text: str) -> dict[str, float]:
    """TABLE=DAYS pairs; `ValueError` with what is allowed."""
    pairs = [each.partition("=") for each in text.split(",") if each.strip()]
    try:
        return {name.strip(): float(days) for name, _, days in pairs}
    except ValueError:
        raise ValueError("TABLE=DAYS pairs, comma separated, as trade_events=30") from None


def _also(name: str, *others: str) -> AliasChoices:
    return AliasChoices(f"TICKHOUSE_{name.upper()}", *others, name)


class TimescaleSettings(BaseSettings):
    """Where the server is, how patiently it is asked, and what it keeps. Without an address there is the lake alone."""

    model_config = SettingsConfigDict(
        env_prefix="TICKHOUSE_",
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    timescale_dsn: SecretStr | None = Field(
        default=None,
        description="Address of TimescaleDB or PostgreSQL, postgresql://user:password@host:port/database; without one, the lake alone.",
    )
    db_host: str | None = Field(
        default=None, validation_alias=_also("db_host", "DB_HOST"), description="Host of the server, in place of TICKHOUSE_TIMESCALE_DSN."
    )
    db_port: int = Field(default=5432, ge=1, le=65_535, validation_alias=_also("db_port", "DB_PORT"), description="Port of that host.")
    db_name: str | None = Field(
        default=None, validation_alias=_also("db_name", "DB_NAME", "POSTGRES_DB"), description="Database on that host."
    )
    db_user: str | None = Field(
        default=None, validation_alias=_also("db_user", "DB_USER", "POSTGRES_USER"), description="User of that database."
    )
    db_password: SecretStr | None = Field(
        default=None, validation_alias=_also("db_password", "DB_PASSWORD", "POSTGRES_PASSWORD"), description="Password of that user."
    )
    timescale_pool_size: int = Field(default=2, ge=1, le=64, description="Most connections a process opens to sync at the same time.")
    timescale_attempts: int = Field(default=5, ge=1, le=20, description="How often a sync is tried while the server is away or restarting.")
    timescale_backoff_seconds: float = Field(
        default=0.5, ge=0.01, le=60, description="First wait between two attempts; it doubles, varied by chance."
    )
    timescale_backoff_cap_seconds: float = Field(default=10.0, ge=0.01, le=300, description="Longest wait between two attempts.")
    timescale_connect_seconds: float = Field(default=10.0, ge=0.5, le=120, description="Longest wait for a connection to the server.")
    timescale_statement_seconds: float = Field(default=300.0, ge=1, le=86_400, description="Longest one statement may take on the server.")
    timescale_compression_after_days: float | None = Field(
        default=None, ge=1, description="Age in days from which the full edition compresses; by default it does not."
    )
    timescale_retention_days: str = Field(
        default="",
        description="Days that tables keep their rows, TABLE=DAYS pairs, comma separated; a table that is not named keeps all.",
    )
    timescale_latest_indicators_only: bool = Field(
        default=False, description="Keep only the latest row of indicators per asset and timeframe."
    )

    @field_validator("timescale_dsn")
    @classmethod
    def _address(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(_SCHEMES):
            raise ValueError("an address that begins with postgresql://")
        return value

    @field_validator("timescale_retention_days")
    @classmethod
    def _kept(cls, value: str) -> str:
        kept = _pairs(value)
        for name, days in kept.items():
            if name not in RELATIONS:
                raise ValueError(f"TABLE=DAYS pairs of the tables {', '.join(RELATIONS)}")
            if not days >= 1:
                raise ValueError(f"at least 1 day for {name}")
        for name, least in LEAST_RETENTION_DAYS.items():
            if kept.get(name, least) < least:
                raise ValueError(f"at least {least} days for {name}, which aggregates of longer candles are made of")
        return value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.timescale_dsn is None and self.db_host is not None and self.db_name is None:
            raise ValueError("DB_HOST together with DB_NAME (or POSTGRES_DB)")
        return self

    @property
    def retention_days(self) -> dict[str, float]:
        """Days by table; one that is not in it keeps all its rows."""
        return _pairs(self.timescale_retention_days)

    @property
    def dsn(self) -> str | None:
        """The address, or None where there is the lake alone. It may hold a password: never print it."""
        if self.timescale_dsn is not None:
            return self.timescale_dsn.get_secret_value()
        if self.db_host is None or self.db_name is None:
            return None
        password = "" if self.db_password is None else f":{quote(self.db_password.get_secret_value(), safe='')}"
        user = "" if self.db_user is None else f"{quote(self.db_user, safe='')}{password}@"
        host = f"[{self.db_host}]" if ":" in self.db_host else self.db_host
        return f"postgresql://{user}{host}:{self.db_port}/{quote(self.db_name, safe='')}"

    @property
    def required_dsn(self) -> str:
        """The address; `TimescaleSettingError` where none is set."""
        if self.dsn is None:
            raise TimescaleSettingError(
                "no address of a TimescaleDB is set, expected TICKHOUSE_TIMESCALE_DSN (or DB_HOST and DB_NAME): "
                "without one there is the lake alone"
            )
        return self.dsn


_SECRETS: Final = frozenset({"timescale_dsn", "db_password"})


def timescale_settings(**given: Any) -> TimescaleSettings:
    """The settings, `given` ones in place of those read; for a wrong one `TimescaleSettingError`, whose sentence holds no secret."""
    try:
        return TimescaleSettings(**given)
    except ValidationError as error:
        raise TimescaleSettingError("; ".join(_sentence(problem) for problem in error.errors(include_url=False))) from None


def _sentence(problem: Any) -> str:
    allowed = problem["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    name = "_".join(str(part) for part in problem["loc"]).lower().removeprefix("tickhouse_")
    if not name:
        return f"settings of the database are incomplete, expected {allowed}"
    value = "a value that is not shown here" if name in _SECRETS else f"the value {problem['input']!r}"
    return f"setting TICKHOUSE_{name.upper()} has {value}, allowed is {allowed}"
