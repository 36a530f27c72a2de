"""When an asset follows what it is made from: one named condition for each policy, with its reasons.

Put here: automation conditions. Keep out: the sensor that evaluates them (`orchestration.automation`).
"""

from typing import Final

import dagster as dg

CHAIN_TAG: Final = {"tickhouse/trigger": "automation"}
"""Tag of the runs that automation requests."""

_Condition = dg.AutomationCondition

_NEWS: Final = _Condition.newly_updated() & ~_Condition.executed_with_root_target()

_UPDATED: Final = _Condition.any_deps_match(
    (_NEWS & ~_Condition.all_new_updates_have_run_tags(tag_values=CHAIN_TAG)).with_label("updated_by_others")
    | _Condition.will_be_requested()
).with_label("any_deps_updated")

_ARRIVED: Final = _Condition.any_deps_match(_NEWS).with_label("any_deps_arrived")


def _unanswered(trigger: dg.AutomationCondition) -> dg.AutomationCondition:  # type: ignore[type-arg]  # of whatever has deps
    """Triggered since it was last requested; what triggers in the very tick of the request counts after it."""
    return trigger.since((_Condition.newly_requested() & ~trigger) | _Condition.initial_evaluation())


FOLLOW: Final = (
    _unanswered(_UPDATED) & ~_Condition.any_deps_missing() & ~_Condition.any_deps_in_progress() & ~_Condition.in_progress()
).with_label("follow")
"""Make the partition again whenever something it is made from was made again: on time, late or repaired. For deps of the same partitions.

Measured on Dagster 1.13.27:

* `eager()` looks at the latest hour only and so ignores late ones; `on_cron` requests nothing where the data landed before the tick;
  `on_missing()` ignores what was missing before it existed.
* What the same tick is about to request counts as updated, so an hour's whole chain is requested at once, as one run. When that run
  has made it, nothing more follows from it: Dagster's own `any_deps_updated()` knows this of the latest hour of a range only and would
  request what is downstream of all the others once more; hence the tag.
* A reset wins over a trigger of the same tick. With `newly_requested()` alone as the reset, a part reported between the tick that
  requested the hour and the next one would be forgotten; hence the rest of the reset.
* What landed before the very first tick is not seen (`initial_evaluation` resets): `tickhouse up` reports it after that tick.
"""

GATHER: Final = (_unanswered(_ARRIVED) & ~_ARRIVED & ~_Condition.any_deps_in_progress() & ~_Condition.in_progress()).with_label("gather")
"""Make the day again when hours of it have been made, the month when days have: for deps of shorter partitions.

* Hours that are missing, and hours that never will be, hold nothing up: a day is made of what there is, and again when more comes.
* Debounced: it waits until none of its hours is being made and a whole tick has brought nothing new, so that the hours of one
  back-fill, or those one tick reports, refresh their day once.
* Runs of automation count here: they made the hour, and a run of hours never makes its day, whose partitions are others.
"""

_TRIED_AGAIN: Final = _Condition.execution_failed() & _Condition.cron_tick_passed("*/10 * * * *")

SYNC: Final = (
    ((_unanswered(_ARRIVED) & ~_ARRIVED) | _TRIED_AGAIN) & ~_Condition.any_deps_in_progress() & ~_Condition.in_progress()
).with_label("sync")
"""Copy the partition to another system when it has been made, in a run of its own, after the one that made it.

* Debounced as `GATHER` is, so that an hour whose chain is being made is copied once.
* What failed is requested again every ten minutes, as one run over all of it: the other system may have been away for hours, and nothing
  new may ever arrive for those partitions. Bare `execution_failed()` would ask at every tick.
"""
