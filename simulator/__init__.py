"""The exchanges, pretended: every venue's protocol over real sockets, from a seeded market model.

What belongs here: market model, venue dialects, faults, the ledger of what was sent, playback, history.
What does not: anything that reads these frames. Nothing of the other packages is imported, so that the
simulator cannot share a collector's misunderstanding.
"""
