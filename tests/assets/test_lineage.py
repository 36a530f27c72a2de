"""Column lineage: of every column of everything that is derived it is known which columns it is made of, or that none makes it."""

import pytest

from assets.lineage import UNMADE, kind_of, sources_of
from lake.registry import DATASETS
from lake.settings import LakeSettings
from orchestration.definitions import build
from orchestration.settings import OrchestrationSettings
from sources.settings import ContextSettings


@pytest.fixture(scope="module")
def deps():
    """The deps of every dataset that has some, by name."""
    settings = OrchestrationSettings(_env_file=None), LakeSettings(_env_file=None)
    graph = build(*settings, sources=ContextSettings(_env_file=None)).resolve_asset_graph()
    names = {key.to_user_string(): [parent.to_user_string() for parent in graph.get(key).parent_keys] for key in graph.get_all_asset_keys()}
    return {name: parents for name, parents in names.items() if parents and name in DATASETS}


def test_every_column_of_every_derived_dataset_has_a_source_or_is_named_as_made_of_none(deps):
    lacking = {
        (name, column)
        for name, parents in deps.items()
        for column in DATASETS[name].schema.names
        if column not in sources_of(DATASETS[name], parents) and column not in UNMADE.get(kind_of(name, parents), ())
    }

    assert lacking == set()
    assert len(deps) > 30


def test_every_source_is_a_column_of_a_dep(deps):
    for name, parents in deps.items():
        for column, sources in sources_of(DATASETS[name], parents).items():
            for parent, source in sources:
                assert parent in parents, (name, column)
                assert source in DATASETS[parent.removeprefix("landed/")].schema.names, (name, column)


def test_what_no_column_makes_is_a_column_and_claims_no_source(deps):
    for name, parents in deps.items():
        unmade = UNMADE.get(kind_of(name, parents), frozenset())
        assert unmade <= set(DATASETS[name].schema.names), name
        assert not unmade & sources_of(DATASETS[name], parents).keys(), name


def test_a_computed_column_names_what_it_is_computed_from():
    candles = DATASETS["candles_1m"]

    assert sources_of(candles, ["trades"])["vwap"] == [("trades", "price"), ("trades", "amount")]
    assert sources_of(DATASETS["candles_1d"], ["candles_1h"])["open"] == [("candles_1h", "open")]
    assert ("gaps", "from_time") in sources_of(DATASETS["book_metrics"], ["book_deltas", "gaps"])["mid"]
