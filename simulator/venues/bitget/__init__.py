"""Bitget, pretended: v2 spot and USDT futures, v3 liquidations."""
