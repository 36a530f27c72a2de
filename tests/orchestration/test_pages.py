"""Assets link to the page of the dashboard that shows them."""

from __future__ import annotations

import dagster as dg
import pytest

from lake.settings import LakeSettings
from orchestration.definitions import build
from orchestration.pages import PAGES, page_of
from orchestration.settings import OrchestrationSettings
from serving.dashboard import pages


def links(url: str, tmp_path) -> dict[str, object]:
    made = build(OrchestrationSettings(dashboard_url=url), LakeSettings(home=tmp_path))
    graph = made.resolve_asset_graph()
    return {key.to_user_string(): graph.get(key).metadata.get("dashboard") for key in graph.get_all_asset_keys()}


def test_candles_and_coverage_link_to_their_pages(tmp_path) -> None:
    found = links("https://data.example/", tmp_path)

    assert found["candles_4h"] == dg.MetadataValue.url("https://data.example/dashboard/chart?timeframe=4h")
    assert found["coverage"] == dg.MetadataValue.url("https://data.example/dashboard/coverage")
    assert found["coingecko"] is None


def test_without_an_address_nothing_links(tmp_path) -> None:
    assert set(links("", tmp_path).values()) == {None}


@pytest.mark.parametrize("dataset", [*PAGES, "candles_1m", "indicators_hour"])
def test_every_link_leads_to_a_page_there_is(dataset: str) -> None:
    page = page_of(dataset)

    assert page is not None
    assert page.removeprefix("/dashboard/").partition("?")[0] in pages.PAGES
