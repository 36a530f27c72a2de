"""Files a user edits: what they declare, and one sentence for each way to get them wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from sources.declared import Declaration, Flag, read_declarations, read_flags
from sources.errors import DeclarationError


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "file.toml"
    path.write_text(text)
    return path


def test_no_file_declares_nothing(tmp_path):
    assert read_declarations(tmp_path / "absent.toml") == []
    assert read_flags(tmp_path / "absent.toml") == []


def test_declarations_come_in_order(tmp_path):
    path = written(
        tmp_path,
        '[[track]]\nexchange = "okx"\nsymbol = "TON/USDT"\nreason = "watched"\n[[track]]\nexchange = "binance"\nsymbol = "BTC/USDT:USDT"\n',
    )

    assert read_declarations(path) == [Declaration("binance", "BTC/USDT:USDT"), Declaration("okx", "TON/USDT", "watched")]


def test_flags_are_text_by_base_in_upper_case(tmp_path):
    path = written(tmp_path, '[usdt]\nstablecoin = true\n[DOGE]\ntheme = "meme"\nscore = 3\n')

    assert read_flags(path) == [Flag("DOGE", "score", "3"), Flag("DOGE", "theme", "meme"), Flag("USDT", "stablecoin", "true")]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[track]\n", "is no TOML"),
        ('[[trak]]\nexchange = "okx"\n', "has 'trak' at its top, expected"),
        ('track = "BTC/USDT"\n', "expected .*track.* with exchange and symbol"),
        ('[[track]]\nsymbol = "BTC/USDT"\n', "has exchange = '' in .* number 1, expected an id such as 'okx'"),
        ('[[track]]\nexchange = "OKX"\nsymbol = "BTC/USDT"\n', "has exchange = 'OKX'"),
        ('[[track]]\nexchange = "okx"\nsymbol = "BTCUSDT"\n', "has symbol = 'BTCUSDT' .*, expected one such as 'BTC/USDT'"),
        ('[[track]]\nexchange = "okx"\nsymbol = "BTC/USDT"\nwhy = "x"\n', "has 'why' in"),
        ('[[track]]\nexchange = "okx"\nsymbol = "BTC/USDT"\nreason = 3\n', "expected text"),
        ('[[track]]\nexchange = "okx"\nsymbol = "A/B"\n[[track]]\nexchange = "okx"\nsymbol = "A/B"\n', "declares okx A/B twice"),
    ],
)
def test_a_wrong_declaration_is_told_in_one_sentence(tmp_path, text, says):
    path = written(tmp_path, text)

    with pytest.raises(DeclarationError, match=says) as raised:
        read_declarations(path)

    assert raised.value.path == path
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("stablecoin = true\n", "has 'stablecoin' at its top, expected one table for each base asset"),
        ('["BTC/USDT"]\nmajor = true\n', "has 'BTC/USDT' at its top"),
        ("[BTC]\nBig = true\n", "has a flag 'Big' under"),
        ("[BTC]\nbig = [1]\n", r"has big = \[1\] under"),
        ("[BTC]\nbig = true\n[btc]\nbig = false\n", "has big for BTC twice"),
    ],
)
def test_a_wrong_flag_is_told_in_one_sentence(tmp_path, text, says):
    with pytest.raises(DeclarationError, match=says):
        read_flags(written(tmp_path, text))


def test_a_file_that_is_no_text_is_told(tmp_path):
    path = tmp_path / "flags.toml"
    path.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(DeclarationError, match="cannot be read"):
        read_flags(path)
