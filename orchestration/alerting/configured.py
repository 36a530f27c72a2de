"""The channels that the settings name.

Put here: from settings to channels, and their names. Keep out: what a channel does.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

import httpx

from orchestration.alerting.channels import Channel, LogChannel, Redactor
from orchestration.alerting.discord import DiscordChannel
from orchestration.alerting.errors import ChannelMisconfigured
from orchestration.alerting.relayed import ALERT_URLS, RelayedChannel
from orchestration.alerting.settings import AlertingSettings

WEBHOOK: Final = "the address of a webhook, https://discord.com/api/webhooks/…"


def addresses(settings: AlertingSettings) -> dict[str, tuple[str, str]]:
    """Setting and address of each channel that has one, by the channel's name: discord, discord_2, and the scheme of an Apprise address."""
    found: dict[str, tuple[str, str]] = {}
    hooks = (("discord", settings.discord_webhook_url), ("discord_2", settings.discord_webhook_url_2))
    for name, secret in hooks:
        if secret is not None:
            found[name] = (name.replace("discord", "discord_webhook_url").upper(), secret.get_secret_value().strip())
    relayed = settings.alert_urls.get_secret_value().split() if settings.alert_urls is not None else []
    for address in relayed:
        scheme, separator, _ = address.partition("://")
        if not separator:
            raise ChannelMisconfigured(setting=ALERT_URLS, expected="addresses of Apprise such as slack://A/B/C, separated by spaces")
        name, number = f"apprise_{scheme.lower()}", 1
        while name in found:
            number += 1
            name = f"apprise_{scheme.lower()}_{number}"
        found[name] = (ALERT_URLS, address)
    return found


def channel_names(settings: AlertingSettings) -> tuple[str, ...]:
    """Names of all channels, those people look at first. Raises `ChannelMisconfigured`."""
    return (*addresses(settings), *(("log",) if settings.alert_log else ()))


@contextmanager
def opened(settings: AlertingSettings, *, logger: logging.Logger | None = None) -> Iterator[list[Channel]]:
    """All channels, closed after the block; `logger` is where the log channel writes.

    Raises:
        ChannelMisconfigured: an address that no channel can use; the error names its setting, not the address.

    """
    with ExitStack() as stack:
        made: list[Channel] = []
        for name, (setting, address) in addresses(settings).items():
            channel = _made(name, setting, address, timeout=settings.alert_timeout_seconds)
            stack.callback(channel.close)
            made.append(channel)
        if settings.alert_log:
            made.append(LogChannel(logger))
        yield made


def _made(name: str, setting: str, address: str, *, timeout: float) -> Channel:
    if setting == ALERT_URLS:
        return RelayedChannel(name, address)
    if not address.startswith(("https://", "http://")) or any(letter.isspace() for letter in address):
        raise ChannelMisconfigured(setting=setting, expected=WEBHOOK)
    try:
        return DiscordChannel(name, address, timeout=timeout)
    except httpx.InvalidURL:
        # Its text repeats pieces of the address.
        raise ChannelMisconfigured(setting=setting, expected=WEBHOOK) from None


def redactor(settings: AlertingSettings) -> Redactor:
    """What takes every secret of these settings out of a text."""
    return Redactor(address for _, address in addresses(settings).values())
