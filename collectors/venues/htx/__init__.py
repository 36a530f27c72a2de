"""HTX (once Huobi), spot and linear swaps: gzip frames, incremental books, notifications of forced orders and funding.

Put here: the face the registry shows. Keep out: everything else, which lies in the modules beside it.
"""

from __future__ import annotations

from collectors.venues.htx.venue import HtxVenue

VENUE = HtxVenue()
