"""The demo's market context is asked of the simulator alone."""

from __future__ import annotations

from orchestration.simulation import live_market, outside_environment
from sources.coingecko import top_coins
from sources.quota import MonthlyQuota
from sources.settings import ContextSettings


def test_every_address_of_the_outside_is_the_simulators_and_answers(tmp_path, monkeypatch):
    with live_market(arguments=["--exchanges", "binance"]) as market:
        root = market.endpoints["binance"]["spot_rest"].partition("/binance")[0]
        for name, value in outside_environment(market).items():
            monkeypatch.setenv(name, value)
        settings = ContextSettings(_env_file=None)

        coins = top_coins(settings, MonthlyQuota(source="CoinGecko", path=tmp_path / "calls.json", calls=None))

    addresses = [settings.coingecko_url, settings.coinglass_url, *settings.replaced_urls.values()]
    assert [address.startswith(root) for address in addresses] == [True] * 4
    assert settings.candle_exchanges == "binance"
    assert len(coins) == settings.coingecko_coins
