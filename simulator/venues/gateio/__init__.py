"""Gate.io's API v4, pretended: spot and futures settled in USDT, books of the obu channels, REST answers, sockets."""
