"""Gate.io, API v4: spot and futures; diff books with REST snapshots and the retired v3 as recordings carry them.

Put here: the face the registry shows. Keep out: everything else, which lies in the modules beside it.
"""

from __future__ import annotations

from collectors.venues.gateio.venue import GateVenue

VENUE = GateVenue()
