"""OKX v5: spot, swaps and dated futures, books that name the update before, liquidation orders, funding and open interest.

Put here: the face the registry shows. Keep out: everything else, which lies in the modules beside it.
"""

from __future__ import annotations

from collectors.venues.okx.venue import OkxVenue

VENUE = OkxVenue()
