"""Settings of the server, read once at start from `TICKHOUSE_…` variables and `.env`.

Put here: where it listens, who may ask, and how much is given. Keep out: where the lake lies (`lake.settings`).
"""

from __future__ import annotations

from ipaddress import ip_address

from pydantic import AliasChoices, Field, SecretStr

from lake.window_settings import WindowSettings
from serving.errors import ServingRefused


class ServingSettings(WindowSettings):
    """Where the server listens, who may ask, and how much is given; times in seconds."""

    api_host: str = Field(
        default="127.0.0.1",
        min_length=1,
        validation_alias=AliasChoices("TICKHOUSE_API_HOST", "API_HOST", "api_host"),
        description="Address the server listens on; beyond this machine a token is required.",
    )
    api_port: int = Field(
        default=8321,
        ge=0,
        le=65535,
        validation_alias=AliasChoices("TICKHOUSE_API_PORT", "API_PORT", "api_port"),
        description="Port the server listens on; 0 picks a free one.",
    )
    api_tokens: SecretStr = Field(
        default=SecretStr(""), description="Tokens that may ask, with commas between, 16 characters or more each; empty asks for none."
    )
    api_cors_origins: str = Field(
        default="", description="Sites whose pages may ask from a browser, as https://example.org, with commas between."
    )
    api_rate_per_second: float = Field(default=50.0, gt=0, description="Requests a second each token (or address) may make for long.")
    api_rate_burst: int = Field(default=200, ge=1, description="Requests each token (or address) may make at once.")
    api_rows: int = Field(default=1000, ge=1, le=1_000_000, description="Rows of an answer where the request names no limit.")
    api_rows_max: int = Field(default=100_000, ge=1, le=10_000_000, description="Most rows of one answer; more come page by page.")
    api_timeout_seconds: float = Field(default=10.0, gt=0, le=600, description="Longest a statement may run before it is interrupted.")
    api_readers: int = Field(default=4, ge=1, le=64, description="Statements that run at the same time.")
    api_picture_seconds: float = Field(
        default=0.25, ge=0, le=10, description="How long a reader keeps its picture of the lake; an answer is at most so much older."
    )
    live_poll_seconds: float = Field(default=0.025, gt=0, le=1, description="How often the write-ahead log is looked at for live events.")
    live_queue_events: int = Field(
        default=20_000, ge=1, description="Events that wait for a slow live client before what waits is dropped, and said so."
    )
    live_stall_seconds: float = Field(default=30.0, gt=0, description="A live client that takes nothing for this long is cut.")
    live_subscriptions: int = Field(default=1000, ge=1, description="Subscriptions one live client may hold.")
    live_clients: int = Field(default=1000, ge=1, description="Live clients at the same time.")
    replay_sessions: int = Field(default=32, ge=1, description="Replays that exist at the same time.")
    replay_idle_seconds: float = Field(
        default=900.0, gt=0, description="A replay that nobody has touched or read for this long is removed."
    )

    @property
    def tokens(self) -> tuple[str, ...]:
        """The tokens one by one."""
        return tuple(filter(None, (each.strip() for each in self.api_tokens.get_secret_value().split(","))))

    @property
    def cors_origins(self) -> tuple[str, ...]:
        """The sites one by one, without a slash at the end."""
        return tuple(filter(None, (each.strip().rstrip("/") for each in self.api_cors_origins.split(","))))

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        if self.api_host == "localhost":
            return True
        try:
            return ip_address(self.api_host).is_loopback
        except ValueError:
            return False

    def check(self) -> None:
        """Raise `ServingRefused` where the server would stand open to other machines, or a token could be guessed."""
        if any(len(token) < 16 for token in self.tokens):
            raise ServingRefused("setting TICKHOUSE_API_TOKENS holds a token shorter than 16 characters, allowed are longer ones")
        if not self.tokens and not self.on_loopback:
            raise ServingRefused(
                f"the server would listen on {self.api_host} without a token: set TICKHOUSE_API_TOKENS, or TICKHOUSE_API_HOST=127.0.0.1"
            )
