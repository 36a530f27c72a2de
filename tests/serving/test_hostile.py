"""What nobody should send: the server answers with a sentence, never with a 5xx."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from lake.paths import Home
from tests.lake.making import START
from tests.serving.world import Served, serving

SQL = "'; DROP VIEW trades; --"
PATH = "../../../etc/passwd"
LONG = "A" * 5000
EXAMPLES = int(os.environ.get("TICKHOUSE_TEST_EXAMPLES", "1"))


@pytest.fixture(scope="module")
def guarded(past: Home) -> Iterator[Served]:
    with serving(past, api_timeout_seconds=5.0, replay_sessions=4) as running:
        yield running


@pytest.mark.parametrize("path", ["/v1/trades", "/v1/candles"])
@pytest.mark.parametrize(
    "asked",
    [
        {"start": "1970-01-01", "end": "2100-01-01"},
        {"start": "0001-01-01", "end": "9999-12-31"},
        {"start": "-999999999d"},
        {"start": "NaN", "end": "inf"},
        {"start": "9" * 20},
        {"start": "2026-11-22", "end": "2026-11-21"},
        {"limit": "99999999999999999999"},
        {"limit": "0"},
        {"limit": "NaN"},
        {"symbol": SQL},
        {"symbol": PATH},
        {"symbol": LONG},
        {"symbol": "\x00"},
        {"symbol": ",".join(f"A{n}/B" for n in range(200))},
        {"exchange": SQL},
        {"exchange": PATH},
        {"columns": f"price{SQL}"},
        {"columns": "*"},
        {"cursor": SQL},
        {"cursor": "W10"},
        {"cursor": "eyJhIjoxfQ"},
        {"timeframe": "1m'; --"},
        {"order": "price"},
        {"by": "dinner"},
    ],
)
def test_hostile_parameters_are_answered_with_a_sentence_or_rows(guarded: Served, path: str, asked: dict[str, str]) -> None:
    answer = guarded.get(path, **asked)

    assert answer.status_code in {200, 400, 422}
    if answer.status_code != 200:
        error = answer.json()["error"]
        assert set(error) == {"code", "message"}
        assert "\n" not in error["message"]
        assert "SELECT" not in error["message"]


def test_text_that_looks_like_sql_is_a_value_and_nothing_else(guarded: Served) -> None:
    answer = guarded.get("/v1/gaps", start=START, end="2100-01-01", channel="x' OR '1'='1")

    assert answer.json()["rows"] == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"[]",
        b'{"start": null}',
        b'{"start": "now", "speed": NaN}',
        b'{"start": "now", "speed": 1e999}',
        b'{"start": "now", "speed": 0}',
        b'{"start": "now", "channels": ["trades", "DROP"]}',
        b'{"start": "now", "channels": []}',
        b'{"start": "now", "channels": ["books"]}',
        b'{"start": "now", "more": 1}',
        b'{"start": "2100-01-01", "end": "1970-01-01"}',
        b'{"start": "now", "timeframe": "../1m"}',
        b"\xff\xfe",
        b"[" * 50_000,
    ],
)
def test_hostile_replays_are_refused(guarded: Served, body: bytes) -> None:
    answer = guarded.http.post("/v1/replays", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "bad_request"


def test_more_replays_than_allowed_are_refused(guarded: Served) -> None:
    answers = [guarded.http.post("/v1/replays", json={"start": "-1m"}) for _ in range(5)]
    for answer in answers[:4]:
        guarded.http.delete(f"/v1/replays/{answer.json()['id']}")

    assert [answer.status_code for answer in answers] == [201] * 4 + [429]


@pytest.mark.parametrize(
    "path", ["/v1/%2e%2e/%2e%2e/etc/passwd", "/v1/trades/..%2F..%2Fetc/passwd", "/v1/replays/..%2f..%2fx", "/%00", "/v1/trades/binance/%FF"]
)
def test_hostile_addresses_lead_nowhere(guarded: Served, path: str) -> None:
    with httpx.Client() as client:
        answer = client.get(f"{guarded.url}{path}")

    assert answer.status_code in {200, 400, 404}
    assert "root:" not in answer.text


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_no_request_is_answered_with_a_5xx_whether_the_schema_allows_it_or_not(guarded: Served, mode: GenerationMode) -> None:
    schema: Any = schemathesis.openapi.from_url(f"{guarded.url}/openapi.json")
    answers: Counter[int] = Counter()
    with requests.Session() as session:
        for operation in [each.ok() for each in schema.get_all_operations()]:

            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def probe(case: Any) -> None:
                answer = case.call(base_url=guarded.url, session=session)
                answers[answer.status_code] += 1
                assert answer.status_code < 500, (case, answer.text)

            try:
                probe()
            except Unsatisfiable:
                # Nothing the schema forbids can be sent where there is nothing to send.
                assert mode is GenerationMode.NEGATIVE

    assert answers[200 if mode is GenerationMode.POSITIVE else 400] > 5
