"""Coinbase: the Advanced Trade feed (spot and futures products), and the Exchange feed as recordings carry it.

Put here: the face the registry shows. Keep out: everything else, which lies in the modules beside it.
"""

from __future__ import annotations

from collectors.venues.coinbase.venue import CoinbaseVenue

VENUE = CoinbaseVenue()
