from __future__ import annotations

import pytest

from collectors.errors import ConfigError
from collectors.settings import CollectorSettings, collector_settings, lake_settings


def test_the_environment_sets_and_arguments_override(monkeypatch):
    monkeypatch.setenv("TICKHOUSE_COLLECTOR", "east")
    monkeypatch.setenv("TICKHOUSE_STALL_CAP_SECONDS", "5")
    monkeypatch.setenv("LOG_LEVEL", "debug")

    settings = collector_settings(collector="west")

    assert (settings.collector, settings.stall_cap_seconds, settings.log_level) == ("west", 5.0, "debug")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("TICKHOUSE_COLLECTOR", "Main Street", "setting TICKHOUSE_COLLECTOR is 'Main Street', allowed is"),
        ("TICKHOUSE_STALL_CAP_SECONDS", "-1", "setting TICKHOUSE_STALL_CAP_SECONDS is '-1', allowed is: input should be greater than 0"),
        ("TICKHOUSE_LOG_LEVEL", "loud", "setting TICKHOUSE_LOG_LEVEL is 'loud', allowed is: input should be 'debug'"),
    ],
)
def test_a_wrong_value_is_one_sentence_with_setting_value_and_what_is_allowed(monkeypatch, name, value, says):
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigError, match=says) as caught:
        collector_settings()
    assert "\n" not in str(caught.value)


def test_a_wrong_value_of_the_lake_reads_the_same(monkeypatch):
    monkeypatch.setenv("TICKHOUSE_FLUSH_SECONDS", "9")

    with pytest.raises(
        ConfigError, match=r"setting TICKHOUSE_FLUSH_SECONDS is '9', allowed is: input should be less than or equal to 0\.25"
    ):
        lake_settings()


def test_every_setting_says_what_it_is():
    assert [name for name, field in CollectorSettings.model_fields.items() if not field.description] == []


def test_the_bounds_of_silence_never_cross():
    policy = CollectorSettings(stall_floor_seconds=9.0, stall_first_seconds=5.0, stall_cap_seconds=3.0).silence

    assert (policy.floor_seconds, policy.first_seconds, policy.cap_seconds) == (3.0, 3.0, 3.0)
