"""Bitget: spot and futures over WebSocket v2, liquidations over v3, and the retired v1 with its checksums in recordings.

Put here: the face the registry shows. Keep out: everything else, which lies in the modules beside it.
"""

from __future__ import annotations

from collectors.venues.bitget.venue import BitgetVenue

VENUE = BitgetVenue()
