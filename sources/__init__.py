"""What comes from outside over REST, on a clock: exchange candles, CoinGecko, Coinglass; and the files in which a user declares things.

Belongs here: clients that ask, wait, try again and hand over plain rows. Keep out: Dagster (`assets`), what is computed from the rows
(`lake.transforms`), and everything that streams (`collectors`).
"""
