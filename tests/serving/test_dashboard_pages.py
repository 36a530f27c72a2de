"""The dashboard in a real browser, over a simulated market that is collected meanwhile.

`TICKHOUSE_UPDATE_IMAGES=1 TICKHOUSE_PAGES=URL pytest tests/serving/test_dashboard_pages.py -k pictures` takes the pictures of docs/images
anew, of a server that is up (`make demo` for one).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from lake import layout
from lake.paths import Home
from orchestration.processes import free_port
from serving.dashboard.pages import PAGES
from tests.collectors.simulating import until
from tests.serving.market import Market, collected
from tests.serving.world import Served, serving

pytestmark = pytest.mark.lengthy

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
MOST_BYTES = 250_000
PATIENCE_MS = 90_000
WIDE, PHONE = {"width": 1360, "height": 850}, {"width": 390, "height": 844}
TOKEN = "a-token-of-a-viewer"

PICTURES = {
    "overview": ("dark", WIDE),
    "chart": ("dark", WIDE),
    "book": ("dark", WIDE),
    "heatmap": ("dark", WIDE),
    "flow": ("light", WIDE),
    "liquidations": ("dark", WIDE),
    "coverage": ("light", WIDE),
    "health": ("dark", WIDE),
    "tape": ("dark", PHONE),
}


class Viewer:
    """A page, and what went wrong or out of this machine while it was looked at."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.errors: list[str] = []
        self.asked: set[str | None] = set()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.asked.add(urlsplit(request.url).hostname))
        page.on("websocket", lambda socket: self.asked.add(urlsplit(socket.url).hostname))

    def open(self, name: str, *, states: str = "ready", **chosen: str) -> None:
        """Open a page and wait until every panel of it is in one of the states."""
        query = "&".join(f"{key}={value}" for key, value in chosen.items())
        self.page.goto(f"{self.url}/dashboard/{name}?{query}")
        self.page.locator(f"main[data-page={name}] .panel").first.wait_for(state="attached")
        self.settle(states)

    def settle(self, states: str) -> None:
        allowed = ", ".join(f"[data-state={state}]" for state in states.split())
        until(lambda: self.page.locator(f".panel:not({allowed})").count() == 0)

    def value(self, name: str, *, of: str = ".chart") -> str | None:
        return self.page.locator(of).first.get_attribute(f"data-{name}")

    def changes(self, name: str, *, of: str = ".chart") -> None:
        before = self.value(name, of=of)
        until(lambda: self.value(name, of=of) != before)

    def link(self, state: str) -> None:
        self.page.locator(f"#link[data-state={state}]").wait_for()

    def drawn(self) -> list[list[float]]:
        """Open, close, low and high of each candle on the screen."""
        found = self.page.locator(".chart").evaluate("node => node.chart.getOption().series.find((each) => each.id === 'candles').data")
        assert isinstance(found, list)
        return found


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    from tests.chromium import launched

    with launched(chromium) as made:
        yield made


@pytest.fixture(scope="module")
def market(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    with collected(tmp_path_factory.mktemp("market")) as made:
        yield made


@pytest.fixture(scope="module")
def up(market: Market) -> Iterator[Served]:
    with serving(market.home) as made:
        yield made


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """One for all tests, so that the browser reads ECharts once: that is most of what a page costs."""
    with browser.new_context(viewport=WIDE, color_scheme="dark") as made:
        yield made


@pytest.fixture
def viewer(context: BrowserContext) -> Iterator[Viewer]:
    """A new page; `url` is to be set."""
    made = Viewer(context.new_page(), "")
    yield made
    made.page.close()
    assert made.errors == []
    assert made.asked == {"127.0.0.1"}


@pytest.mark.parametrize("name", PAGES)
def test_each_page_shows_what_is_collected_and_fits_a_phone(up: Served, viewer: Viewer, name: str) -> None:
    viewer.url = up.url

    viewer.open(name, states="ready empty" if name == "health" else "ready")
    viewer.link("live")
    assert viewer.page.locator(f"nav a[data-name={name}][aria-current=page]").count() == 1
    viewer.page.set_viewport_size(PHONE)

    until(lambda: viewer.page.evaluate("document.documentElement.scrollWidth") == PHONE["width"])


def test_the_chart_moves_with_trades_and_shows_the_candles_of_the_api_on_any_market_and_timeframe(up: Served, viewer: Viewer) -> None:
    viewer.url = up.url

    viewer.open("chart", exchange="binance", symbol="BTC/USDT", timeframe="1m")
    viewer.changes("volume")
    for symbol, timeframe in (("BTC/USDT", "5m"), ("ETH/USDT", "5m"), ("ETH/USDT", "1h")):
        viewer.page.get_by_label("Symbol").select_option(symbol)
        viewer.page.get_by_role("group", name="Timeframe").get_by_role("button", name=timeframe, exact=True).click()
        shown = f'{{"exchange":"binance","symbol":"{symbol}","timeframe":"{timeframe}"}}'
        until(lambda shown=shown: viewer.value("market", of=".panel") == shown)
        viewer.settle("ready")
        rows = up.rows("/v1/candles/binance/" + symbol, timeframe=timeframe, start="-4h")
        closed = [[row["open"], row["close"], row["low"], row["high"]] for row in rows[:-2]]

        assert viewer.drawn()[: len(closed)] == closed
        assert f"timeframe={timeframe}" in viewer.page.url
    viewer.changes("volume")


def test_indicators_are_drawn_as_they_are_switched_on(up: Served, viewer: Viewer) -> None:
    viewer.url = up.url
    names = "node => node.chart.getOption().series.map((each) => each.id)"

    viewer.open("chart", exchange="binance", symbol="BTC/USDT", timeframe="1m")
    before = viewer.page.locator(".chart").evaluate(names)
    viewer.page.get_by_role("button", name="SMA 20", exact=True).click()
    viewer.page.get_by_role("button", name="MACD", exact=True).click()
    after = viewer.page.locator(".chart").evaluate(names)

    assert set(after) - set(before) == {"sma20-0"}
    assert "macd-3" in before
    assert not any(name.startswith("macd") for name in after)


def test_pages_go_on_by_themselves_after_the_server_was_away(market: Market, viewer: Viewer) -> None:
    port = free_port("127.0.0.1", 0)
    with ExitStack() as first:
        viewer.url = first.enter_context(serving(market.home, api_port=port)).url
        viewer.open("chart", exchange="binance", symbol="BTC/USDT", timeframe="1m")
        viewer.link("live")
        viewer.page.evaluate("window.sameVisit = true")
        shown = len(viewer.drawn())
    viewer.link("offline")
    assert len(viewer.drawn()) >= shown
    viewer.page.get_by_role("link", name="Feed health").click()
    viewer.page.get_by_text("The server does not answer.").first.wait_for()

    with serving(market.home, api_port=port):
        viewer.link("live")
        viewer.settle("ready empty")
        viewer.page.get_by_role("link", name="Chart").click()
        viewer.page.locator("main[data-page=chart] .panel[data-state=ready]").wait_for()
        viewer.changes("volume")

        assert viewer.page.evaluate("window.sameVisit") is True


def test_a_lake_without_anything_says_what_to_do(tmp_path: Path, browser: Browser, viewer: Viewer) -> None:
    home = Home(tmp_path / "home")
    layout.ensure(home)

    with serving(home) as empty:
        viewer.url = empty.url
        for name in ("overview", "chart", "coverage", "alerts"):
            viewer.open(name, states="empty")
            assert "`tickhouse " in viewer.page.locator(".state span").first.inner_text()


def test_a_token_is_asked_for_once(market: Market, viewer: Viewer) -> None:
    with serving(market.home, api_tokens=SecretStr(TOKEN)) as closed:
        viewer.page.goto(f"{closed.url}/dashboard/overview?symbol=BTC/USDT")
        for given in ("no-token-of-this-server", TOKEN):
            viewer.page.get_by_label("Token").fill(given)
            viewer.page.get_by_role("button", name="Sign in").click()
            if given != TOKEN:
                viewer.page.get_by_text("none of the tokens").wait_for()
        viewer.settle("ready")
        viewer.link("live")

        assert urlsplit(viewer.page.url).path == "/dashboard/overview"
        assert viewer.page.evaluate("document.cookie") == ""


def test_dark_and_light_are_remembered(up: Served, viewer: Viewer) -> None:
    viewer.url = up.url
    shade = "getComputedStyle(document.body).backgroundColor"

    viewer.open("alerts")
    dark = viewer.page.evaluate(shade)
    viewer.page.get_by_role("button", name="Dark or light").click()
    light = viewer.page.evaluate(shade)
    viewer.open("alerts")

    assert dark != light
    assert viewer.page.evaluate(shade) == light


@pytest.mark.skipif(not os.environ.get("TICKHOUSE_UPDATE_IMAGES"), reason="pictures are taken when TICKHOUSE_UPDATE_IMAGES is set")
def test_pictures_are_small(browser: Browser) -> None:
    for name, (theme, size) in PICTURES.items():
        with browser.new_context(viewport=size, color_scheme=theme) as context:  # type: ignore[arg-type]  # both are as Playwright spells them
            viewer = Viewer(context.new_page(), os.environ["TICKHOUSE_PAGES"])
            viewer.open(name, states="ready empty")
            viewer.page.wait_for_timeout(4000)
            taken = viewer.page.screenshot(path=IMAGES / f"dashboard-{name}.png")

        assert len(taken) < MOST_BYTES, name
