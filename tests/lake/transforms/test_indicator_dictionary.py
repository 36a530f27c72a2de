from __future__ import annotations

from lake.indicator_datasets import INDICATOR_COLUMNS
from lake.transforms.indicators.definitions import INDICATORS
from lake.transforms.indicators.dictionary import PAGE, render
from lake.transforms.indicators.suite import INDICATOR_SCHEMA


def test_the_page_is_that_of_the_code():
    assert PAGE.read_text(encoding="utf-8") == render()


def test_the_dataset_has_the_columns_of_the_suite():
    assert [column.name for column in INDICATOR_COLUMNS] == list(INDICATOR_SCHEMA)
    assert set(INDICATORS) <= set(INDICATOR_SCHEMA)
