"""TimescaleDB (or PostgreSQL) beside the lake: its schema, and keeping it equal to the lake.

Put here: migrations, what differs between editions of the server, syncing a partition, comparing, and saying how far it is. Keep out: when
that happens (assets and the command line). asyncpg is imported by modules of this package alone, so nobody else pays for it.

    tables()                            what can be synced: name, dataset, partitions, columns, key     lake.timescale.tables
    migrate(dsn)                        make or renew the schema                                        lake.timescale.migrate
    sync(home, dsn, table, period)      make one partition equal to the lake                            lake.timescale.sync
    compare(home, dsn, table, period)   row counts and column sums of both sides                        lake.timescale.compare
    status(dsn, home)                   edition, schema, how far each table is                          lake.timescale.status
"""
