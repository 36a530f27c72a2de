"""The whole graph as text, held against a committed copy: a changed key, dependency, condition or check shows in review.

`TICKHOUSE_UPDATE_GRAPH=1 pytest tests/orchestration/test_graph.py` writes the copy anew.
"""

import os
from pathlib import Path

import dagster as dg
import pytest

from lake.registry import DATASETS, LANDED
from lake.settings import LakeSettings
from orchestration.definitions import build
from orchestration.settings import OrchestrationSettings
from sources.settings import ContextSettings

COPY = Path(__file__).with_name("graph.txt")


@pytest.fixture(scope="module")
def definitions(tmp_path_factory) -> dg.Definitions:
    lake = LakeSettings(home=tmp_path_factory.mktemp("home"), _env_file=None)
    return build(OrchestrationSettings(_env_file=None), lake, sources=ContextSettings(_env_file=None))


def described(definitions: dg.Definitions) -> str:
    """Every asset with what makes it what it is, one property a line."""
    graph = definitions.resolve_asset_graph()
    lines = []
    for key in sorted(graph.get_all_asset_keys()):
        node = graph.get(key)
        condition = node.automation_condition
        lines += [
            key.to_user_string(),
            f"  deps: {', '.join(sorted(parent.to_user_string() for parent in node.parent_keys)) or '-'}",
            f"  group: {node.group_name}",
            f"  owners: {', '.join(node.owners)}",
            f"  kinds: {', '.join(sorted(node.kinds))}",
            f"  materializable: {'yes' if node.is_materializable else 'no'}",
            f"  partitions: {partitioned(node.partitions_def)}",
            f"  automation: {condition.get_label() if condition else '-'}",
            f"  backfill: {node.backfill_policy.policy_type.value if node.backfill_policy else '-'}",
            f"  pools: {', '.join(sorted(node.pools or ())) or '-'}",
            f"  fresh within: {node.freshness_policy_or_from_metadata.fail_window.to_timedelta() if node.freshness_policy_or_from_metadata else '-'}",
        ]
        columns, lineage = node.metadata["dagster/column_schema"].columns, node.metadata["dagster/column_lineage"]
        lines.append(f"  columns: {', '.join(column.name for column in columns)}")
        for column, of in sorted(lineage.deps_by_column.items()):
            made_of = sorted(f"{dep.asset_key.to_user_string()}.{dep.column_name}" for dep in of)
            # Candles of many timeframes are alike: the first says it for all.
            lines.append(f"  {column} of: {made_of[0]}{f' and {len(made_of) - 1} more' if len(made_of) > 1 else ''}")
        for check in sorted(graph.get_check_keys_for_assets({key}), key=lambda check: check.name):
            lines.append(f"  check: {check.name}{' (stops)' if graph.get(check).blocking else ''}")
    return "\n".join(lines) + "\n"


def partitioned(partitions: dg.TimeWindowPartitionsDefinition | None) -> str:
    if partitions is None:
        return "-"
    kind = type(partitions).__name__.removesuffix("PartitionsDefinition").lower()
    return f"{kind} from {partitions.start:%Y-%m-%d %H:%M} with {partitions.end_offset} running"


def test_the_graph_is_the_committed_one(definitions):
    received = described(definitions)
    if os.environ.get("TICKHOUSE_UPDATE_GRAPH") == "1":
        COPY.write_text(received)

    assert received == COPY.read_text()


def test_every_dataset_of_the_registry_is_an_asset_and_every_landed_one_an_external_asset(definitions):
    keys = {key.to_user_string() for key in definitions.resolve_asset_graph().get_all_asset_keys()}

    assert keys == set(DATASETS) | {f"landed/{name}" for name in LANDED}


def test_every_asset_says_what_it_is(definitions):
    graph = definitions.resolve_asset_graph()

    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description, key
        assert node.tags, key
        if node.is_materializable:
            assert node.code_version, key
