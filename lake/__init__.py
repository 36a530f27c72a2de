"""The ground floor: schemas, paths, write-ahead log, parts, compaction, catalog, queries and pure transforms.

Belongs here: everything that knows how data lies on disk or in a database, and the columns-in, columns-out transforms.
Keep out: sockets, venues, Dagster, the HTTP API. This package imports nothing else of the project.
"""
