"""The server that stands for Discord keeps whole messages alone, as a sender that is killed may leave half of one."""

from __future__ import annotations

import json
import socket

import pytest

from simulator.discord import Discord

BODY = json.dumps({"embeds": [{"title": "whole"}]}).encode()


@pytest.fixture
def discord():
    server = Discord()
    server.start()
    yield server
    server.close()


def sent(discord: Discord, body: bytes) -> bytes:
    """What the server answers to a request of the length of BODY that ends after `body`."""
    head = f"POST /api/webhooks/1/t0ken HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Length: {len(BODY)}\r\n\r\n"
    with socket.create_connection(discord.server_address[:2], timeout=60) as sender:
        sender.sendall(head.encode() + body)
        sender.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: sender.recv(65536), b""))


@pytest.mark.parametrize("kept", [0, 1, len(BODY) - 1])
def test_a_request_that_ends_before_its_body_is_no_message_and_takes_no_order(discord, kept):
    discord.obey({"answers": [429]})

    assert sent(discord, BODY[:kept]) == b""
    assert discord.posted == []

    assert sent(discord, BODY).startswith(b"HTTP/1.1 429 ")
    assert [each.body for each in discord.posted] == [json.loads(BODY)]
