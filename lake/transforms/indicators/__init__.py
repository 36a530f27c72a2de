"""Technical indicators over candles, for all symbols at once.

Belongs here: the core suite, its state from partition to partition, dollar volumes and further studies. Keep out: files, clocks,
Dagster. What each column means stands in `definitions`; `suite.compute` is the way in.
"""
