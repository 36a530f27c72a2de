"""Dagster's own pages in a real browser: the lineage of everything, and a back-fill launched by hand.

`TICKHOUSE_UPDATE_IMAGES=1 pytest tests/browser/test_dagster_pages.py` takes the pictures of docs/images anew; with `TICKHOUSE_PAGES=URL`
they are those of a house that is up, `make demo` for one.
"""

import os
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import httpx
import pytest
from dagster._core.execution.backfill import BulkActionStatus

from assets.hours import partition_key
from lake.derived import read_hour
from orchestration.instance import open_instance
from orchestration.processes import Supervisor, dagster_programs, free_port
from orchestration.run import materialize_range
from orchestration.settings import OrchestrationSettings
from tests.assets.landed_rows import hours_ago, lake_settings, land, trades, wait_until_visible

pytestmark = pytest.mark.lengthy

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
MOST_BYTES = 400_000
GROUPS = ("landed", "coverage", "candles", "flow", "indicators", "context")
FIRST, LAST = hours_ago(4), hours_ago(2)
ASSET = "candles_1m"

SENSORS = "{ repositoriesOrError { ... on RepositoryConnection { nodes { sensors { name sensorState { id } } } } } }"
STOP = "mutation($id: String!) { stopSensor(id: $id) { __typename } }"


def wait_for(what, *, seconds=180.0):
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if found := what():
            return found
        time.sleep(0.3)
    raise AssertionError(f"{what.__name__} did not come true within {seconds:g} s")


class House:
    """Dagster's pages and daemon on a lake of three hours whose trades are made; sensors are stopped, so that only we ask for runs."""

    def __init__(self, root):
        self.settings = OrchestrationSettings(_env_file=None)
        self.lake = lake_settings(root)
        land(self.lake, *({"trades": trades(hours_ago(number))} for number in (2, 3, 4)))
        self.url = f"http://127.0.0.1:{free_port('127.0.0.1', 0)}"

    @contextmanager
    def up(self):
        port = int(self.url.rpartition(":")[2])
        pages, daemon = dagster_programs(self.lake, Path("tickhouse.toml"), host="127.0.0.1", port=port)
        supervisor = Supervisor(programs=(pages,), logs=self.lake.house.root / "logs", say=print)
        with open_instance(self.lake, self.settings) as self.instance:
            assert materialize_range(self.lake, ["trades"], FIRST, LAST, settings=self.settings, instance=self.instance).success
            supervisor.start()
            try:
                wait_for(self.answers)
                for sensor in self.ask(SENSORS)["repositoriesOrError"]["nodes"][0]["sensors"]:
                    self.ask(STOP, id=sensor["sensorState"]["id"])
                supervisor.add(daemon)
                yield self
            finally:
                supervisor.stop()

    def answers(self):
        try:
            with urllib.request.urlopen(f"{self.url}/server_info", timeout=5):
                return True
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            return False

    def ask(self, text, **variables):
        answer = httpx.post(f"{self.url}/graphql", json={"query": text, "variables": variables}, timeout=120).raise_for_status().json()
        assert "errors" not in answer, answer
        return answer["data"]


@pytest.fixture(scope="module")
def house(chromium, tmp_path_factory):
    with House(tmp_path_factory.mktemp("pages") / "home").up() as up:
        yield up


def pictured(page, name, tmp_path):
    """Take the page's picture, where it belongs if asked to."""
    path = (IMAGES if os.environ.get("TICKHOUSE_UPDATE_IMAGES") == "1" else tmp_path) / name
    page.screenshot(path=path)
    return path


def test_the_lineage_page_shows_every_group_and_an_asset_what_it_is_made_of(house, page, tmp_path):
    url = os.environ.get("TICKHOUSE_PAGES", house.url)

    page.goto(f"{url}/asset-groups")
    for group in GROUPS:
        page.get_by_text(group, exact=True).last.wait_for()
    page.get_by_text("fetching statuses").first.wait_for(state="hidden")
    whole = pictured(page, "dagster-lineage.png", tmp_path)
    page.goto(f"{url}/assets/indicators_hour?view=lineage")
    for name in ("candles_1m", "candles_1h", "indicators_hour"):
        page.get_by_text(name, exact=True).last.wait_for()
    page.wait_for_load_state("networkidle")
    of_one = pictured(page, "dagster-lineage-indicators.png", tmp_path)

    assert all(20_000 < path.stat().st_size < MOST_BYTES for path in (whole, of_one))


def test_a_range_back_filled_from_the_page_is_one_run_that_makes_every_hour_of_it(house, page):
    wait_until_visible(house.lake)
    page.goto(f"{house.url}/assets/{ASSET}?view=partitions")
    chosen = page.get_by_placeholder("ex:")
    chosen.fill(f"[{partition_key(FIRST)}...{partition_key(LAST)}]")
    chosen.press("Enter")
    page.get_by_text("3 Partitions Selected").wait_for()
    page.get_by_role("button", name="Materialize").first.click()
    launch = page.get_by_role("button", name="Launch backfill")
    # Until the page has heard of them it warns that trades were not made yet.
    warned = page.get_by_role("button", name="Confirm")
    warned.or_(launch).first.wait_for()
    if warned.is_visible():
        warned.click()
    launch.click()
    page.get_by_text("Created backfill").wait_for()
    (backfill,) = house.instance.get_backfills()

    def completed():
        return house.instance.get_backfill(backfill.backfill_id).status == BulkActionStatus.COMPLETED_SUCCESS

    wait_for(completed, seconds=240)
    page.goto(f"{house.url}/runs/b/{backfill.backfill_id}")
    page.get_by_text("Completed").first.wait_for()

    (run,) = house.instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": backfill.backfill_id}))
    hours = [hours_ago(number) for number in (4, 3, 2)]
    assert run.is_success
    assert house.instance.get_materialized_partitions(dg.AssetKey(ASSET)) == {partition_key(hour) for hour in hours}
    wait_until_visible(house.lake)
    assert all(read_hour(house.lake.house, ASSET, hour)[0].num_rows > 0 for hour in hours)
