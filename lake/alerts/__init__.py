"""Alerts: rules, live windows, what fires, and how that becomes a durable row. Nothing here sends anything.

* `rules` reads alerts.toml into frozen `Rule` models; `settings` says where it lies.
* `firing` turns a figure (`Measured`) into an `Alert`, or not: severity, cooldown, grouping; the dataset `alerts` restores its state.
* `engine` feeds trades, forced orders, books, funding, gaps and dead letters through `windows` into `firing`; collectors and `backtest`
  drive it.
* `conditions` evaluates rules of kind sql over a table of the lake; `health` makes `Measured` of stale partitions, checks, runs and disks.
* `outbox` is how a process that is no collector appends alerts and deliveries: durable on return, once each.

An alert is a row of `alerts`, in the write-ahead log before anyone sends it; what was sent is a row of `deliveries`.
"""
