"""Bybit v5: spot, linear and inverse contracts, books with snapshots in band, every liquidation, merged tickers.

Put here: the face the registry shows. Keep out: everything else, which lies in the modules beside it.
"""

from __future__ import annotations

from collectors.venues.bybit.venue import BybitVenue

VENUE = BybitVenue()
