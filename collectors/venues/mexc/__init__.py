"""MEXC: spot over protobuf frames, perpetuals over JSON.

Put here: the face the registry shows. Keep out: everything else, which lies in the modules beside it.
"""

from __future__ import annotations

from collectors.venues.mexc.venue import MexcVenue

VENUE = MexcVenue()
