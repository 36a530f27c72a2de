"""Alerts on their way to people: channels, the outbox they are taken from, and the ledger of what was sent.

Put here: delivery. Keep out: which conditions fire (`lake`), and when delivery runs (`orchestration.alert_sensors`).
"""
