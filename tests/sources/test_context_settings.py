"""Settings of outside sources: what they refuse, in one sentence that names the setting."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sources.settings import ContextSettings, listed


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"candle_timeframes": "1m,7m"}, "TICKHOUSE_CANDLE_TIMEFRAMES was '1m,7m', expected some of 1m, 3m"),
        ({"candle_timeframes": "1w"}, "TICKHOUSE_CANDLE_TIMEFRAMES was '1w'"),
        ({"candle_timeframes": " , "}, "TICKHOUSE_CANDLE_TIMEFRAMES was"),
        ({"candle_urls": "https://api.binance.com"}, "TICKHOUSE_CANDLE_URLS was .* expected pairs"),
        ({"candle_exchanges": "binance,OKX"}, "TICKHOUSE_CANDLE_EXCHANGES names 'OKX', expected ids"),
        ({"coingecko_plan": "gold"}, "'demo' or 'pro'"),
        ({"coingecko_coins": 0}, "greater than or equal to 1"),
    ],
)
def test_a_wrong_value_is_refused(given, says):
    with pytest.raises(ValidationError, match=says):
        ContextSettings(_env_file=None, **given)


def test_names_people_already_have_are_read(monkeypatch):
    monkeypatch.setenv("COINGECKO_API_KEY", "one")
    monkeypatch.setenv("COINGLASS_API_KEY", "")

    settings = ContextSettings(_env_file=None)

    assert settings.coingecko_api_key is not None
    assert settings.coingecko_api_key.get_secret_value() == "one"
    assert settings.coinglass_api_key is None, "an empty key is no key"


def test_lists_keep_their_order_and_each_name_once():
    assert listed(" b, a,,b ") == ("b", "a")
