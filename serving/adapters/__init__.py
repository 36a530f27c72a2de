"""Market data in the shapes other programs read.

Belongs here: one module a program. Keep out: reading the lake, which all of them do through `serving.client`.
"""
