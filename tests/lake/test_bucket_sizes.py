"""Bucket sizes in tickhouse.toml: read, or refused with one sentence."""

import pytest

from collectors.config import parse
from collectors.errors import ConfigError
from collectors.registry import VENUES
from lake.bucket_sizes import bucket_sizes, read_bucket_sizes
from lake.errors import BucketSizeError


def test_sizes_by_symbol_and_base_are_read_beside_the_exchanges(tmp_path):
    path = tmp_path / "tickhouse.toml"
    text = '[exchanges.kraken]\nsymbols = ["BTC/USD"]\n[heatmap.buckets]\n"SOL" = 0.5\n"BTC/USDT:USDT" = 5\n'
    path.write_text(text)

    assert read_bucket_sizes(path) == {"SOL": 0.5, "BTC/USDT:USDT": 5.0}
    assert list(parse(text, VENUES).exchanges) == ["kraken"]


def test_a_file_that_is_absent_or_says_nothing_configures_nothing(tmp_path):
    path = tmp_path / "tickhouse.toml"
    assert read_bucket_sizes(path) == {}

    path.write_text("[heatmap]\n")

    assert read_bucket_sizes(path) == {}


def test_a_file_that_is_no_toml_is_named(tmp_path):
    path = tmp_path / "tickhouse.toml"
    path.write_text("heatmap = [")

    with pytest.raises(BucketSizeError, match=r"tickhouse\.toml is no TOML"):
        read_bucket_sizes(path)


@pytest.mark.parametrize("size", [0, -1, "10", True, float("inf"), float("nan")])
def test_a_size_that_is_none_is_refused_by_name(size):
    with pytest.raises(
        BucketSizeError, match=r"heatmap\.buckets\.SOL in tickhouse\.toml is .*, allowed is a positive number of quote units"
    ):
        bucket_sizes({"buckets": {"SOL": size}})


@pytest.mark.parametrize("table", [7, {"bucket": {}}, {"buckets": 10}])
def test_another_shape_is_refused(table):
    with pytest.raises(BucketSizeError, match="allowed is a table with one table in it, buckets"):
        bucket_sizes(table)


def test_a_collector_refuses_to_start_with_a_wrong_size():
    text = '[exchanges.kraken]\nsymbols = ["BTC/USD"]\n[heatmap.buckets]\n"SOL" = 0\n'

    with pytest.raises(ConfigError, match=r"heatmap\.buckets\.SOL"):
        parse(text, VENUES)
