"""Pure transforms: columns in, columns out.

Belongs here: formulas that the batch asset, the live window and the API must share. Keep out: I/O, clocks, Dagster.
"""
