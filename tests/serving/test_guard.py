"""Who may ask."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from pydantic import SecretStr

from lake.paths import Home
from serving.app import build
from serving.errors import ServingRefused, TooMany
from serving.guard import Buckets
from serving.settings import ServingSettings
from tests.serving.world import Served, serving

TOKENS = "first-token-of-many", "second-token-of-many"


@pytest.fixture(scope="module")
def closed(past: Home) -> Iterator[Served]:
    with serving(past, api_tokens=SecretStr(",".join(TOKENS)), api_cors_origins="https://mine.example") as running:
        yield running


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.org"])
def test_beyond_this_machine_a_token_is_required(past: Home, host: str) -> None:
    with pytest.raises(ServingRefused, match=f"would listen on {host} without a token: set TICKHOUSE_API_TOKENS"):
        build(ServingSettings(api_host=host), home=past)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.9.1"])
def test_on_this_machine_none_is(past: Home, host: str) -> None:
    build(ServingSettings(api_host=host), home=past).state.reader.close()


def test_a_token_that_could_be_guessed_is_refused(past: Home) -> None:
    with pytest.raises(ServingRefused, match="shorter than 16 characters"):
        build(ServingSettings(api_tokens=SecretStr("short")), home=past)


def test_settings_never_show_a_token() -> None:
    assert "first-token" not in repr(ServingSettings(api_tokens=SecretStr(TOKENS[0])))


@pytest.mark.parametrize("token", TOKENS)
def test_any_token_opens(closed: Served, token: str) -> None:
    answer = closed.http.get("/v1/gaps", headers={"Authorization": f"Bearer {token}"})
    cookie = httpx.get(f"{closed.url}/v1/gaps", headers={"Cookie": f"tickhouse_token={token}"})

    assert (answer.status_code, cookie.status_code) == (200, 200)


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer wrong-token-of-many", f"Basic {TOKENS[0]}", f"Bearer {TOKENS[0]}x", "Bearer \xff\xfe"]
)
@pytest.mark.parametrize("path", ["/v1/gaps", "/metrics", "/docs", "/openapi.json", "/nowhere"])
def test_a_wrong_token_opens_nothing(closed: Served, path: str, given: str) -> None:
    answer = closed.http.get(path, headers={"Authorization": given.encode("latin-1")} if given else {})

    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "unauthorized"
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_health_asks_for_no_token(closed: Served) -> None:
    assert closed.get("/health/live").status_code == 200
    assert closed.get("/health/ready").status_code == 200


def test_a_browser_may_ask_from_named_sites_alone(closed: Served) -> None:
    asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "Authorization"}
    mine = closed.http.options("/v1/gaps", headers={"Origin": "https://mine.example", **asked})
    other = closed.http.options("/v1/gaps", headers={"Origin": "https://other.example", **asked})

    assert mine.headers["Access-Control-Allow-Origin"] == "https://mine.example"
    assert "Access-Control-Allow-Origin" not in other.headers


def test_without_a_token_a_foreign_name_for_this_machine_is_refused(served: Served) -> None:
    answer = served.http.get("/v1/gaps", headers={"Host": "rebound.example"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")


def test_each_who_asks_has_a_rate() -> None:
    now = 0.0
    buckets = Buckets(per_second=2.0, burst=3, clock=lambda: now)

    for _ in range(3):
        buckets.take("a")
    with pytest.raises(TooMany, match=r"expected a pause of 0\.50 seconds") as refused:
        buckets.take("a")
    buckets.take("b")
    now = 0.5
    buckets.take("a")

    assert refused.value.retry_after == 0.5


def test_too_many_requests_are_told_when_to_come_back(past: Home) -> None:
    with serving(past, api_rate_per_second=0.01, api_rate_burst=2) as running:
        answers = [running.get("/openapi.json") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert int(answers[-1].headers["Retry-After"]) > 1
