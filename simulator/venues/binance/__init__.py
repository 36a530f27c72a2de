"""Binance spot and USD-M perpetuals, pretended: catalogue, frames, REST answers, sockets."""
