"""Kraken spot over WebSocket v2, pretended: catalogue, frames with checksums, REST answers, sockets."""
