"""Bybit v5, pretended: spot and linear perpetuals."""
