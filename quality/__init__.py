"""Judge. Expectations over snapshots and over the planned changes; a check that cannot run is a failed check."""

from quality.changes import judge_changes
from quality.checks import Verdict
from quality.engine import warm_up
from quality.snapshots import Examined, examine, failed_of_few, judge_snapshot

__all__ = ["Examined", "Verdict", "examine", "failed_of_few", "judge_changes", "judge_snapshot", "warm_up"]
