"""The dashboard's side of the server: answers shared by viewers, who may ask, what is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from lake.paths import Home
from serving.dashboard.asked import Asked
from serving.dashboard.mount import STATIC
from serving.dashboard.pages import PAGES
from serving.dashboard.shared import Shared
from serving.dashboard.signin import inside
from serving.errors import BadRequest
from tests.serving.world import Served, serving

TOKEN = "a-token-of-a-viewer"
DATA = [page.name for page in PAGES.values() if page.read is not None]


def test_an_answer_many_wait_for_is_worked_out_once() -> None:
    asked = 0

    async def work() -> bytes:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.01)
        return b"answer"

    async def many() -> list[bytes]:
        shared = Shared()
        return await asyncio.gather(*(shared.get("key", work, seconds=60) for _ in range(200)))

    assert set(asyncio.run(many())) == {b"answer"}
    assert asked == 1


def test_an_answer_is_worked_out_anew_when_its_time_is_over() -> None:
    now = 0.0
    answers = iter([b"first", b"second"])

    async def work() -> bytes:
        return next(answers)

    async def asked() -> list[bytes]:
        nonlocal now
        shared = Shared(clock=lambda: now)
        found = [await shared.get("key", work, seconds=2) for _ in range(2)]
        now = 2.5
        return [*found, await shared.get("key", work, seconds=2)]

    assert asyncio.run(asked()) == [b"first", b"first", b"second"]


def test_a_viewer_who_goes_takes_the_answer_from_nobody_and_a_failure_is_not_kept() -> None:
    answers = iter([BadRequest("the first fails"), b"answer"])
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def work() -> bytes:
        begun.set()
        await go_on.wait()
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        return found

    async def asked() -> list[object]:
        shared = Shared()
        leaving, staying = (asyncio.create_task(shared.get("key", work, seconds=60)) for _ in range(2))
        await begun.wait()
        leaving.cancel()
        go_on.set()
        found = await asyncio.gather(leaving, staying, return_exceptions=True)
        return [*found, await shared.get("key", work, seconds=60)]

    left, failed, after = asyncio.run(asked())

    assert isinstance(left, asyncio.CancelledError)
    assert isinstance(failed, BadRequest)
    assert after == b"answer"


@pytest.mark.parametrize("name", ["markets", *DATA])
def test_each_page_is_answered_from_any_lake(served: Served, name: str) -> None:
    answer = served.get(f"/dashboard/data/{name}", exchange="binance", symbol="BTC/USDT", timeframe="1h", hours="24")

    assert answer.status_code == 200, answer.text
    assert isinstance(answer.json(), dict)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/dashboard/data/nothing", "data is 'nothing', expected one of overview"),
        ("/dashboard/nothing", "page is 'nothing', expected one of overview"),
        ("/dashboard/data/chart", "the request names no symbol, expected one as BTC/USDT"),
        ("/dashboard/data/chart?symbol=x&timeframe=7m", "timeframe is '7m', expected one of 1m"),
        ("/dashboard/data/flow?symbol=x&hours=9999999999999", "hours is '9999999999999', expected a number from 1 to 744"),
        ("/dashboard/data/flow?symbol=x&hours=-1", "hours is '-1', expected a number from 1 to 744"),
        ("/dashboard/data/tape?symbol=" + "x" * 101, "symbol has 101 characters, expected at most 100"),
    ],
)
def test_what_cannot_be_understood_is_refused_in_one_sentence(served: Served, path: str, said: str) -> None:
    answer = served.http.get(path)

    assert answer.status_code in {400, 404}
    assert said in answer.json()["error"]["message"]


def test_sql_in_a_symbol_is_a_symbol_nobody_trades(served: Served) -> None:
    for name in DATA:
        answer = served.get(f"/dashboard/data/{name}", exchange="x' OR 1=1 --", symbol="'; DROP TABLE trades; --", dataset="y'")

        assert answer.status_code == 200, answer.text


def test_requests_share_an_answer_where_the_page_does_not_depend_on_what_differs() -> None:
    shared = {Asked.of({"symbol": "BTC/USDT", "hours": hours}) for hours in ("1", "2")}

    assert len(shared) == 2
    assert "hours" not in PAGES["tape"].needs
    assert set().union(*(page.needs for page in PAGES.values())) <= set(Asked.__dataclass_fields__)


def test_every_page_has_its_module_and_its_place_in_the_menu() -> None:
    menu = (STATIC / "app.js").read_text()

    assert sorted(path.stem for path in (STATIC / "pages").iterdir()) == sorted(PAGES)
    assert all(f'["{page.name}", "{page.title}"]' in menu for page in PAGES.values())


def test_the_browser_is_told_to_fetch_from_here_alone(served: Served) -> None:
    page = served.get("/dashboard/overview")
    outside = [path.name for path in STATIC.rglob("*.*") if "http" in _without_namespaces(path)]

    assert "default-src 'none'; script-src 'self'; connect-src 'self'" in page.headers["Content-Security-Policy"]
    assert outside == []


def _without_namespaces(path: Path) -> str:
    return path.read_text().replace("http://www.w3.org/2000/svg", "").replace("https:", "")


def test_without_a_token_only_the_files_of_the_pages_are_had(past: Home) -> None:
    with serving(past, api_tokens=SecretStr(TOKEN)) as closed, httpx.Client(base_url=closed.url) as browser:
        person = {"Accept": "text/html,*/*"}

        assert browser.get("/dashboard/static/app.js").status_code == 200
        assert browser.get("/dashboard/echarts/index.js").status_code == 200
        assert browser.get("/dashboard/static/../mount.py").status_code in {401, 404}
        assert 'action="/dashboard/sign-in"' in browser.get("/dashboard/sign-in").text
        assert browser.get("/dashboard/data/overview").status_code == 401
        assert browser.get("/dashboard/chart?symbol=a%2Fb", headers=person).headers["location"] == (
            "/dashboard/sign-in?next=/dashboard/chart%3Fsymbol%3Da%252Fb"
        )
        assert browser.get("/v1/gaps", headers=person).status_code == 401
        assert browser.post("/dashboard/sign-in", data={"token": "wrong"}).headers["location"].startswith("/dashboard/sign-in?wrong=1")
        signed = browser.post("/dashboard/sign-in", content=f"token={TOKEN}&next=//evil.example/")
        assert signed.headers["location"] == "/dashboard/overview"
        assert "HttpOnly" in signed.headers["set-cookie"]
        assert "SameSite=strict" in signed.headers["set-cookie"]
        assert browser.get("/dashboard/data/alerts").status_code == 200
        browser.post("/dashboard/sign-out")
        assert browser.get("/dashboard/data/alerts").status_code == 401


def test_tokens_cannot_be_guessed_at_any_pace(past: Home) -> None:
    with serving(past, api_tokens=SecretStr(TOKEN), api_rate_burst=5, api_rate_per_second=0.001) as closed:
        answers = [httpx.post(f"{closed.url}/dashboard/sign-in", content="token=wrong").status_code for _ in range(7)]

    assert answers == [303] * 5 + [429] * 2


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example/dashboard/", "/\\evil.example", "javascript:alert(1)", "", "/v1/gaps"]
)
def test_signing_in_leads_to_the_dashboard_and_nowhere_else(target: str) -> None:
    assert inside(target) == "/dashboard/overview"
    assert inside("/dashboard/chart?symbol=BTC/USDT") == "/dashboard/chart?symbol=BTC/USDT"
