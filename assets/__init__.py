"""What exists: Dagster assets and asset checks, thin on purpose.

Belongs here: window -> read -> transform -> write -> result, in that order and in one screen.
Keep out: formulas and file handling (those are in `lake`), and when things run (that is in `orchestration`).
"""
