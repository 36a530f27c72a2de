"""KuCoin, spot and futures: the unified push gateway, and the classic protocol as recordings carry it.

Put here: the face the registry shows. Keep out: everything else, which lies in the modules beside it.
"""

from __future__ import annotations

from collectors.venues.kucoin.venue import KucoinVenue

VENUE = KucoinVenue()
