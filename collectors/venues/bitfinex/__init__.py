"""Bitfinex v2, spot and perpetuals on one socket: trades, checksummed books, forced closings, derivative status.

Put here: the face the registry shows. Keep out: everything else, which lies in the modules beside it.
"""

from __future__ import annotations

from collectors.venues.bitfinex.venue import BitfinexVenue

VENUE = BitfinexVenue()
