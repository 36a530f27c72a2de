"""Exchange frames in, validated market events out: into the write-ahead log and from there into Parquet parts.

Belongs here: venue protocols (synchronous, fed with bytes and a receive time), the one asyncio socket module, books, gaps, decode.
Keep out: Dagster, the API, and anything that derives data from what has landed.
"""
