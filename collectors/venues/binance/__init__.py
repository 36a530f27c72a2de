"""Binance, spot and USD-M: combined streams, REST-aligned books, aggregate trades, forced orders, mark prices.

Put here: the face the registry shows. Keep out: everything else, which lies in the modules beside it.
"""

from __future__ import annotations

from collectors.venues.binance.venue import BinanceVenue

VENUE = BinanceVenue()
