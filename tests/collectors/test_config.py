from __future__ import annotations

from pathlib import Path

import pytest

from collectors.config import MarketsConfig, load, parse
from collectors.errors import ConfigError, UnknownChannel, UnknownExchange, UnknownSymbol
from collectors.registry import VENUES

ROOT = Path(__file__).resolve().parents[2]


def parsed(text: str) -> MarketsConfig:
    return parse(text, VENUES)


def test_the_example_in_the_root_of_the_project_is_valid():
    config = load(ROOT / "tickhouse.toml", VENUES)

    assert set(config.exchanges) == {"binance", "kraken"}
    assert config.exchanges["kraken"].symbols == ("BTC/USD", "ETH/USD")
    assert len(config.exchanges["binance"].symbols) == 6


def test_what_is_left_out_has_defaults():
    wanted = parsed('[exchanges.kraken]\nsymbols = ["BTC/USD"]').exchanges["kraken"]

    assert wanted.channels == tuple(VENUES["kraken"].channels)
    assert wanted.depth == 1000
    assert not wanted.redundant
    assert wanted.endpoints == {}


def test_two_sockets_are_wanted_where_the_exchange_says_so():
    config = parsed(KRAKEN + 'redundant = true\n[exchanges.binance]\nsymbols = ["BTC/USDT"]')

    assert [config.exchanges[name].redundant for name in ("kraken", "binance")] == [True, False]


def test_endpoints_override_the_venues_own_by_key():
    text = '[exchanges.binance]\nsymbols = ["BTC/USDT"]\n[exchanges.binance.endpoints]\nspot_ws = "ws://127.0.0.1:1234/binance/spot/"'
    config = parsed(text)

    endpoints = config.endpoints(VENUES["binance"])

    assert endpoints["spot_ws"] == "ws://127.0.0.1:1234/binance/spot"
    assert endpoints["spot_rest"] == VENUES["binance"].endpoints["spot_rest"]


def test_the_former_name_of_an_exchange_is_its_present_one():
    class Htx:
        exchange = "htx"
        endpoints = VENUES["kraken"].endpoints
        channels = ("trades",)
        market_of = staticmethod(lambda symbol: "spot")

    config = parse('[exchanges.huobi]\nsymbols = ["BTC/USDT"]', {"htx": Htx()})

    assert list(config.exchanges) == ["htx"]
    with pytest.raises(ConfigError, match="names htx a second time"):
        parse('[exchanges.huobi]\nsymbols = ["BTC/USDT"]\n[exchanges.htx]\nsymbols = ["BTC/USDT"]', {"htx": Htx()})


KRAKEN = '[exchanges.kraken]\nsymbols = ["BTC/USD"]\n'


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ('[exchanges.binanse]\nsymbols = ["BTC/USDT"]', UnknownExchange, "exchange 'binanse' is unknown; known are binance"),
        (KRAKEN + 'channels = ["trade"]', UnknownChannel, "channel 'trade' is not published by kraken; allowed are trades"),
        ('[exchanges.kraken]\nsymbols = ["BTCUSD"]', UnknownSymbol, "symbol 'BTCUSD' is not listed on kraken"),
        (
            '[exchanges.kraken]\nsymbol = ["BTC/USD"]',
            ConfigError,
            r"key 'symbol' in exchanges.kraken is unknown \(did you mean 'symbols'\?\)",
        ),
        (
            '[exchange.kraken]\nsymbols = ["BTC/USD"]',
            ConfigError,
            r"key 'exchange' in tickhouse.toml is unknown \(did you mean 'exchanges'\?\)",
        ),
        ("[exchanges.kraken]", ConfigError, "exchanges.kraken.symbols is None, allowed is a list of at least one text"),
        ("[exchanges.kraken]\nsymbols = []", ConfigError, "exchanges.kraken.symbols is .., allowed is a list of at least one text"),
        ('[exchanges.kraken]\nsymbols = "BTC/USD"', ConfigError, "allowed is a list"),
        ('[exchanges.kraken]\nsymbols = ["BTC/USD", "BTC/USD"]', ConfigError, "names 'BTC/USD' twice"),
        (KRAKEN + "depth = 0", ConfigError, "exchanges.kraken.depth is 0, allowed is a whole number of book levels from 1 to 10000"),
        (KRAKEN + "depth = true", ConfigError, "depth is True, allowed"),
        (KRAKEN + 'depth = "deep"', ConfigError, "depth is 'deep', allowed"),
        (
            KRAKEN + "redundant = 2",
            ConfigError,
            r"exchanges.kraken.redundant is 2, allowed is true \(two sockets for every stream\) or false",
        ),
        (KRAKEN + '[exchanges.kraken.endpoints]\nspotws = "ws://x"', ConfigError, r"key 'spotws' .* \(did you mean 'spot_ws'\?\)"),
        (
            KRAKEN + '[exchanges.kraken.endpoints]\nspot_ws = "http://x"',
            ConfigError,
            "spot_ws is 'http://x', allowed is an address that begins with ws://",
        ),
        (
            KRAKEN + '[exchanges.kraken.endpoints]\nspot_rest = "ws://x"',
            ConfigError,
            "spot_rest is 'ws://x', allowed is an address that begins with http://",
        ),
        ("exchanges = 3", ConfigError, "exchanges in tickhouse.toml is 3, allowed is a table"),
        ("", ConfigError, "tickhouse.toml names no exchange"),
        ("[exchanges", ConfigError, "tickhouse.toml is no TOML"),
    ],
)
def test_a_mistake_is_one_sentence_that_names_key_value_and_what_is_allowed(text, error, says):
    with pytest.raises(error, match=says) as caught:
        parsed(text)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.toml cannot be read: No such file"):
        load(tmp_path / "nowhere.toml", VENUES)
