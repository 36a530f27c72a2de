"""When an asset follows what it is made from: one named condition for each policy, with its reasons.

Put here: automation conditions. Keep out: the sensor that evaluates them (`orchestration.automation`).
"""

from typing import Final

import dagster as dg

CHAIN_TAG: Final = {"tickhouse/trigger": "automation"}
"""Tag of the runs that automation requests."""

_UPDATED: Final = dg.AutomationCondition.any_deps_match(
    (
        dg.AutomationCondition.newly_updated()
        & ~dg.AutomationCondition.executed_with_root_target()
        & ~dg.AutomationCondition.all_new_updates_have_run_tags(tag_values=CHAIN_TAG)
    ).with_label("updated_by_others")
    | dg.AutomationCondition.will_be_requested()
).with_label("any_deps_updated")

FOLLOW: Final = (
    _UPDATED.since((dg.AutomationCondition.newly_requested() & ~_UPDATED) | dg.AutomationCondition.initial_evaluation())
    & ~dg.AutomationCondition.any_deps_missing()
    & ~dg.AutomationCondition.any_deps_in_progress()
    & ~dg.AutomationCondition.in_progress()
).with_label("follow")
"""Make the hour again whenever something it is made from was made again: on time, late or repaired.

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
