from __future__ import annotations

from pathlib import Path

import pytest

from collectors import config
from collectors.registry import VENUES
from lake.configured_studies import configured_studies
from lake.errors import IndicatorError

TEXT = """
[exchanges.binance]
symbols = ["BTC/USDT"]

[indicators]
studies = ["adx_14", { name = "vortex", length = 21 }]
"""


def test_studies_of_the_file_are_read_beside_what_is_collected(tmp_path: Path):
    path = tmp_path / "tickhouse.toml"
    path.write_text(TEXT)

    assert [study.columns for study in configured_studies(path)] == [("ta_adx_14", "ta_dmp_14", "ta_dmn_14"), ("ta_vtxp_21", "ta_vtxm_21")]
    assert list(config.load(path, VENUES).exchanges) == ["binance"]


def test_no_file_and_no_table_name_no_studies(tmp_path: Path):
    (tmp_path / "tickhouse.toml").write_text('[exchanges.binance]\nsymbols = ["BTC/USDT"]\n')

    assert configured_studies(tmp_path / "tickhouse.toml") == ()
    assert configured_studies(tmp_path / "absent.toml") == ()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("indicators = 3", "indicators in .* is 3, expected a table"),
        ("[indicators]\nstudy = []", "key 'study' in indicators of .* is unknown, allowed are studies"),
        ('[indicators]\nstudies = "adx"', "indicators.studies in .* is 'adx', expected a list"),
        ('[indicators]\nstudies = ["adxx"]', "study 'adxx' is unknown"),
        ("[indicators", "cannot be read"),
    ],
)
def test_a_wrong_table_is_refused_in_one_sentence(tmp_path: Path, text: str, sentence: str):
    path = tmp_path / "tickhouse.toml"
    path.write_text(text)

    with pytest.raises(IndicatorError, match=sentence):
        configured_studies(path)
