"""Kraken: spot over WebSocket v2 (v1 in recordings), whose every book frame carries a checksum, and Futures.

Put here: the face the registry shows. Keep out: everything else, which lies in the modules beside it.
"""

from __future__ import annotations

from collectors.venues.kraken.venue import KrakenVenue

VENUE = KrakenVenue()
