"""Every guard and protocol rule switched off, one at a time: a test has to turn red (``script/mutants``).

A mutant is a small edit of one source file, made in a copy of the project. One that no test notices would mean that the
tests prove nothing about its rule.
"""

from __future__ import annotations

import argparse
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = shutil.ignore_patterns(".venv", ".git", "__pycache__", ".*_cache", "local", "*.db")
TIMEOUT = 900.0


@dataclass(frozen=True)
class Mutant:
    """``rule``: its hazard and what is switched off. ``old`` stands once in ``file`` and becomes ``new``."""

    rule: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def _rules(file: str, *names: str) -> tuple[str, ...]:
    return tuple(f"tests/rules/{file}.py::{name}" for name in names)


def _reliability(file: str, *names: str) -> tuple[str, ...]:
    return tuple(f"tests/reliability/{file}.py::{name}" for name in names)


def _protocol(*names: str) -> tuple[str, ...]:
    return tuple(f"tests/engine/test_protocol.py::{name}" for name in names)


MUTANTS = (
    Mutant(
        "A1 an empty side is an alarm",
        "transform/guard.py",
        "if number == 0 and active > 0",
        "if number < 0",
        _reliability("test_guards", "test_a1_an_empty_side_has_no_floor"),
    ),
    Mutant(
        "A2 an incomplete listing proves no absence",
        "extract/members.py",
        "complete = complete and listing.distinct >= (listing.total_first or 0)",
        "complete = True",
        _rules("test_r14_departures", "test_r14_absence_is_never_believed_from_an_incomplete_read"),
    ),
    Mutant(
        "A3, A4 a member's absence is confirmed by a point read",
        "extract/counterparts.py",
        '    members_by_id(reading, missing["mailchimp"])\n    gone',
        '    reading.stage_missing("mailchimp", missing["mailchimp"])\n    gone',
        _protocol("test_a3_who_is_in_neither_listing_is_looked_for"),
    ),
    Mutant(
        "A3, A4 an entry's absence is confirmed by a point read",
        "extract/counterparts.py",
        '    gone = entries_by_id(reading, missing["maximizer"])\n    _follow_markers(reading, gone)\n',
        '    reading.stage_missing("maximizer", missing["maximizer"])\n',
        _protocol("test_a3_an_entry_that_slips_between_two_pages_is_looked_for"),
    ),
    Mutant(
        "A3 a departure is looked at again before its write",
        "load/entries.py",
        "w.entry_id in now and w not in back and",
        "w.entry_id in now and",
        _protocol("test_a3_who_is_back_before_the_write_has_not_left"),
    ),
    Mutant(
        "A5 too many absent",
        "transform/guard.py",
        "if over(number, ABSENT_FLOOR, settings.max_absent, active)",
        "if number < 0",
        _reliability("test_guards", "test_a5_absence_counts_above_its_floor_and_its_share"),
    ),
    Mutant(
        "A6 the account is that of the links",
        "flows/prepare.py",
        'if str(account["account_id"]) != connection.account_id:',
        "if not account:",
        _rules("test_r36_setup", "test_r43_in_the_wrong_place_nothing_is_written"),
    ),
    Mutant(
        "A6 the Address Book is looked at again before the first write",
        "flows/cycle.py",
        "        check_address_book(self.connection, self.services)\n        with begin",
        "        with begin",
        _rules("test_r36_setup", "test_r43_the_place_is_looked_at_again_right_before_the_first_write"),
    ),
    Mutant(
        "A14 the two fields of ours have to be there",
        "flows/prepare.py",
        "if flag is None or marker is None:",
        "if False:",
        _rules("test_r37_setting_up", "test_r40_missing_fields_are_named_and_made_again"),
    ),
    Mutant(
        "A14 a mapped field that changed its type takes no part",
        "flows/prepare.py",
        "if maximizer.kind not in compatible(mailchimp.kind):",
        "if False:",
        _rules("test_r28_withheld", "test_r27_a_field_that_changed_its_type_fails_alone"),
    ),
    Mutant(
        "B10 no more creates where markers are not stored",
        "load/entries.py",
        "    return marked\n",
        "    return True\n",
        _rules("test_r36_setup", "test_r42_a_server_that_stores_no_markers_gets_no_more_than_the_first_entry"),
    ),
    Mutant(
        "C1 our own write is no news",
        "load/confirm.py",
        "        base[side][item.field] = value\n",
        "",
        _protocol("test_c1_our_own_write_is_no_news"),
    ),
    Mutant(
        "C3 a placeholder is not data",
        "transform/compare.py",
        "    noted = (note == PLACEHOLDER + member).to_numpy(bool)\n",
        "    return np.zeros(len(member), bool)\n    noted = np.zeros(len(member), bool)\n",
        _rules("test_r22_defaults", "test_r23_lost_store_takes_what_stands_in_for_a_placeholder"),
    ),
    Mutant(
        "C13 no client deletes",
        "clients/mailchimp/client.py",
        "    def _send(\n",
        "    def delete_member(self, list_id: str, who: str) -> None:\n"
        '        self.session.send("DELETE", list_id + who, operation="delete", retry="never")\n\n'
        "    def _send(\n",
        _rules("test_r18_consent", "test_r18_neither_client_has_a_call_that_deletes"),
    ),
    Mutant(
        "C15 accepted and not stored is not sent for ever",
        "load/confirm.py",
        "            lost.append(item)\n",
        "            pass\n",
        _rules("test_r51_refusals", "test_r51_accepted_and_not_stored_is_not_sent_for_ever"),
    ),
    Mutant(
        "D1 what a dead process had sent is looked for",
        "load/recover.py",
        'changes.mark(db, [int(i) for i in dead], "ambiguous"',
        'changes.mark(db, [int(i) for i in dead], "discarded"',
        _protocol("test_d1_a_process_that_dies_at_its_create"),
    ),
    Mutant(
        "D1 the intent is durable before the first byte leaves",
        "load/entries.py",
        "    changes.send(loading.engine, loading.lease, [write.id for write in window], loading.now())\n    bodies",
        "    bodies",
        _protocol("test_d1_a_process_that_dies_at_its_create"),
    ),
    Mutant(
        "D2, D3 the quarantine of an uncertain create",
        "load/recover.py",
        'young = loading.now() < float(row["sent_at"] or 0) + wait',
        "young = False",
        _protocol("test_d2_d3_d4_an_uncertain_create_is_not_sent_again_before_it_is_looked_for"),
    ),
    Mutant(
        "D2 an unknown effect is no failure",
        "load/outcome.py",
        '_mark(loading, write, "ambiguous", "unknown effect")',
        '_mark(loading, write, "discarded", "not applied")',
        _protocol("test_d2_d3_d4_an_uncertain_create_is_not_sent_again_before_it_is_looked_for"),
    ),
    Mutant(
        "D6 a create is never sent twice",
        "clients/session.py",
        '"never": ("unreachable", "throttled"),',
        '"never": ("unreachable", "throttled", "outage"),',
        ("tests/clients/test_session.py::test_d6_sends_by_operation_and_fault",),
    ),
    Mutant(
        "D7 a member is read again before its write",
        "load/members.py",
        "if not _as_planned(w, row)}",
        "if not row}",
        _protocol("test_d7_an_edit_between_the_reading_and_the_write_stays"),
    ),
    Mutant(
        "D7 an entry is read again before its write",
        "load/entries.py",
        "and _as_planned(w, values[w.entry_id])]",
        "]",
        _protocol("test_d7_an_edit_between_the_reading_and_the_write_stays"),
    ),
    Mutant(
        "D8 a record with an open write rests",
        "load/recover.py",
        "            resting |= {key for key in (write.contact_id, write.entry_id) if key}\n",
        "            pass\n",
        _protocol("test_d2_d3_d4_an_uncertain_create_is_not_sent_again_before_it_is_looked_for"),
    ),
    Mutant(
        "D9 rows that a batch does not mention are uncertain",
        "clients/mailchimp/client.py",
        "missing=[address for address in sent if address not in once],",
        "missing=[],",
        _protocol("test_d9_rows_of_a_batch_that_nobody_speaks_of"),
    ),
    Mutant(
        "D13 what was refused waits until it changes",
        "transform/decide.py",
        "    return changes[~out].reset_index(drop=True), changes[out], (*name[wanted], *fields)",
        "    return changes, changes.iloc[:0], (*name[wanted], *fields)",
        _rules("test_r51_refusals", "test_r51_a_refused_member_waits_and_the_others_go_on"),
    ),
    Mutant(
        "E1 an update carries no status",
        "load/bodies.py",
        '    if write.op == "create":\n        body["status"]',
        '    if write.op != "revive":\n        body["status"]',
        _rules("test_r18_consent", "test_r18_an_update_never_carries_a_status"),
    ),
    Mutant(
        "E2 archived addresses are left out of a batch",
        "transform/newcomers.py",
        'archived = among(key, address_key(self.archived["email"])) & ~blank',
        "archived = blank & ~blank",
        _rules("test_r18_consent", "test_r18_an_archived_stranger_is_never_revived_by_a_newcomer"),
    ),
    Mutant(
        "E4 too many new subscriptions",
        "transform/guard.py",
        "if not over(new, NEW_FLOOR, settings.max_new, active):",
        "if True:",
        _reliability("test_guards", "test_e4_mass_subscription"),
    ),
    Mutant(
        "R30 a changed mapping that would write to too many people waits",
        "transform/held.py",
        "if any(over(number, CHANGED_FLOOR, settings.max_changed, active) for number in numbers.values())",
        "if active < 0",
        _rules("test_r30_changed_mappings", "test_r30_the_floor_of_the_guards"),
    ),
    Mutant(
        "E6 a forgotten address is suppressed",
        "load/outcome.py",
        '        if error.code == "forgotten" and (item := write.item("EMAIL")):\n',
        '        if error.code == "never" and (item := write.item("EMAIL")):\n',
        _rules("test_r18_consent", "test_r18_somebody_deleted_for_good_is_never_subscribed"),
    ),
    Mutant(
        "F1 a pair goes with one connection",
        "flows/cycle.py",
        "        self._keep_the_pair(pair.both(self.connection, self.services, session))\n",
        "",
        _rules("test_r36_pairs", "test_r36_a_twin_of_an_older_store_is_refused_and_the_first_goes_on"),
    ),
    Mutant(
        "F1 of two set-ups one gets the list",
        "storage/claims.py",
        "    return rivals(db, connection_id, wanted)\n",
        "    return []\n",
        _rules("test_r36_pairs", "test_r36_of_two_set_ups_at_the_same_moment_one_gets_the_list"),
    ),
    Mutant(
        "F1 the second start is refused",
        "storage/leases.py",
        "if left > 0 and not died_here(row.holder):",
        "if False:",
        ("tests/storage/test_leases.py::test_r36_a_second_holder_is_told_who_holds_it",),
    ),
    Mutant(
        "F1 nothing is sent under a lost lease",
        "storage/changes.py",
        "            lease.check(db)\n",
        "",
        ("tests/storage/test_leases.py::test_f1_nothing_is_sent_under_a_lost_lease",),
    ),
    Mutant(
        "F4 an old store takes nobody from an entry that has a new member",
        "transform/presence.py",
        '~member & seen["e_claimed"] & (active | ~archived),',
        "~member & member,",
        _protocol("test_f4_an_old_store_takes_nobody_from_an_entry_that_has_a_new_member"),
    ),
    Mutant(
        "F4 an old store brings nobody back",
        "transform/presence.py",
        "wanted & again,",
        "wanted & ~wanted,",
        _protocol("test_f4_an_old_store_brings_nobody_back"),
    ),
    Mutant(
        "F4 a lost store links anew by marker and Client ID",
        "transform/match.py",
        "steps = ((MARKER, by_uid), (MARKER, by_web), (PAIR, by_pair), (EMAIL, by_mail))",
        "steps = ((EMAIL, by_mail),)",
        _protocol("test_f4_a_lost_store_knows_people_by_what_they_carry"),
    ),
    Mutant(
        "R22 what is sent is what the plan says",
        "load/bodies.py",
        'if field.tag in mapped and field.tag not in sent and current.get(field.tag) not in (None, "")',
        'if field.tag not in sent and current.get(field.tag) not in (None, "")',
        _rules("test_r22_defaults", "test_r22_an_unmapped_mandatory_field_of_a_member_is_left_alone"),
    ),
    Mutant(
        "R23 a choice that reads like a placeholder is a value",
        "transform/compare.py",
        "chosen = filled & ~member_ours & (first | ~moved_entry)",
        "chosen = filled & ~member_ours & ~first & ~moved_entry",
        _rules("test_r22_defaults", "test_r23_what_a_member_chose_reaches_an_empty_entry"),
    ),
    Mutant(
        "R31, C16 a pair that we made has been seen",
        "load/confirm.py",
        "if mapping.broken or mapping.one_way or tag in loading.unmet or tag in base[side]:",
        "if True:",
        _rules("test_r31_made_pairs", "test_r31_the_first_mass_edit_of_people_that_we_made_is_refused"),
    ),
)


def points(mutant: Mutant) -> int:
    """How often the mutated text stands in its file: once, or the mutant is out of date."""
    return (ROOT / mutant.file).read_text("utf-8").count(mutant.old)


# ------------------------------------------------------------------ running


def copied(folder: Path, number: int) -> Path:
    return Path(shutil.copytree(ROOT, folder / str(number), ignore=LEFT_OUT))


def tests(copy: Path, named: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *named]
    # The copy comes before the installed project.
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        how = {"cwd": copy, "env": environment, "timeout": TIMEOUT}
        return subprocess.run(words, check=False, capture_output=True, text=True, **how)  # type: ignore[call-overload]
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(words, 1, f"FAILED no end within {TIMEOUT:.0f} seconds", "")


def judged(copy: Path, mutant: Mutant) -> tuple[bool, str, float]:
    """Whether a test turned red, which one, and after how many seconds."""
    file, begun = copy / mutant.file, time.monotonic()
    sound = file.read_text("utf-8")
    file.write_text(sound.replace(mutant.old, mutant.new), "utf-8")
    try:
        told = tests(copy, mutant.tests)
    finally:
        file.write_text(sound, "utf-8")
    red = [line.partition(" - ")[0] for line in told.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    name = red[0].split(" ", 1)[1].rpartition("::")[2] if red else told.stdout.strip().rpartition("\n")[2]
    return told.returncode == 1 and bool(red), name, time.monotonic() - begun


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="script/mutants", description=__doc__)
    parser.add_argument("only", nargs="*", help="hazards, as D1 D7; all of them without")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args(words)
    chosen = [m for m in MUTANTS if not asked.only or set(asked.only) & set(m.rule.replace(",", "").split())]
    with tempfile.TemporaryDirectory(prefix="maxchimp-mutants-") as folder:
        copies: queue.Queue[Path] = queue.Queue()
        for number in range(asked.workers):
            copies.put(copied(Path(folder), number))

        def run(mutant: Mutant) -> bool:
            copy = copies.get()
            try:
                red, name, seconds = judged(copy, mutant)
            finally:
                copies.put(copy)
            print(f"| {mutant.rule} | {name if red else f'SURVIVED ({name})'} | {seconds:.0f} |", flush=True)
            return red

        print("| switched off | test that turned red | seconds |\n| --- | --- | --- |", flush=True)
        with ThreadPoolExecutor(asked.workers) as pool:
            found = list(pool.map(run, chosen))
    print(f"{sum(found)} of {len(found)} noticed")
    return 0 if all(found) else 1


if __name__ == "__main__":
    sys.exit(main())
