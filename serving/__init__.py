"""What programs and people read from the lake over a socket: API, replay, dashboard, metrics.

Belongs here: read paths only, on top of `lake`. Keep out: Dagster and the collectors; serving meets them in the lake.
"""
