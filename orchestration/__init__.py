"""How and when it runs: Dagster definitions, resources, partitions, jobs, sensors, and the command line.

Belongs here: wiring of the other packages. Keep out: formulas, storage and protocols.
"""
