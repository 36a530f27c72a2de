"""Bitfinex's WebSocket v2, pretended: numbered channels, sequences per socket, checksums, status channels, REST answers."""
