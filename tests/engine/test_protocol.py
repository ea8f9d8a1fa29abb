"""The write protocol as short histories: each holds one rule of it to the fire, and fails without that rule."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from history import History, play
from steps import CycleStep, Misfortune, Script, Step

NEW_MEMBER = ("person", ("subscribe", 4, 0, 0))
OTHER_MEMBER = ("person", ("subscribe", 5, 0, 0))
NEW_ENTRY = ("person", ("add_entry", 4, 1, 1))
OTHER_ENTRY = ("person", ("add_entry", 5, 1, 1))
LAG = frozenset({"search-lag=40"})


def script(*steps: Step, quirks: frozenset[str] = frozenset(), calm: str = "full first") -> Script:
    return Script(0, steps, quirks, calm=calm)


def hit(side: str, kind: str, operation: str) -> CycleStep:
    return CycleStep("sync", faults=(Misfortune(side, kind, operation, 1, 1),))


def call_of(steps: Iterable[Step], operation: str) -> int:
    """The number of a cycle's first call of this operation, as counted in the first cycle of these steps."""
    number, told = 0, []
    play(script(*steps), told=told.append)
    for line in told:
        number += line.startswith(("  mailchimp ", "  maximizer "))
        if f" {operation} " in line:
            return number
    raise AssertionError(f"no {operation}")


@pytest.mark.parametrize("kind", ["drop-after", "late-effect", "timeout-before", "503-after"])
def test_d2_d3_d4_an_uncertain_create_is_not_sent_again_before_it_is_looked_for(kind: str) -> None:
    """Twice in vain within the quarantine, while what was made cannot be found yet or is still to come."""
    steps = (NEW_MEMBER, hit("maximizer", kind, "AbEntryCreate"), CycleStep("sync"), CycleStep("backfill"))
    assert play(script(*steps, quirks=LAG)).wrong == {}


@pytest.mark.parametrize("kind", ["drop-after", "late-effect", "partial-batch", "unmentioned"])
def test_d9_rows_of_a_batch_that_nobody_speaks_of(kind: str) -> None:
    steps = (NEW_ENTRY, OTHER_ENTRY, hit("mailchimp", kind, "POST list"), CycleStep("sync"))
    told: list[str] = []
    assert play(script(*steps), told=told.append).wrong == {}
    # And the cycle says that it did not do everything.
    assert next(line for line in told if line.startswith("('cycle'")).startswith("('cycle', 'sync', 'failed")


@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize(("first", "operation"), [(NEW_MEMBER, "AbEntryCreate"), (NEW_ENTRY, "POST list")])
def test_d1_a_process_that_dies_at_its_create(first: Step, operation: str, where: str) -> None:
    """The entry, or the member, is there once, whether or not the request went out."""
    at = call_of((first, CycleStep("sync")), operation)
    steps = (first, CycleStep("sync", dies=(where, at)), CycleStep("sync"))
    assert play(script(*steps, quirks=LAG)).wrong == {}


@pytest.mark.parametrize(
    ("edit", "act", "operation"),
    [
        (("edit_member", 0, 3, 2), ("edit_entry", 0, 3, 2), "AbEntryUpdate"),
        (("edit_entry", 0, 3, 2), ("edit_member", 0, 3, 2), "PATCH member"),
    ],
)
def test_d7_an_edit_between_the_reading_and_the_write_stays(
    edit: tuple[str, int, int, int], act: tuple[str, int, int, int], operation: str
) -> None:
    """A person edits the same field after both sides were read, right before the record is read once more."""
    first = ("person", edit)
    at = call_of((first, CycleStep("sync")), operation)
    played = play(script(first, CycleStep("sync", between=((at - 1, act),))))
    assert played.wrong == {}
    assert played.overtaken == 0


@pytest.mark.parametrize("before", [NEW_MEMBER, NEW_ENTRY, ("person", ("edit_both", 0, 3, 1))])
@pytest.mark.parametrize("fate", [("restore", 1), ("restore", 2), ("lose",)])
def test_f4_an_old_store_or_none(before: Step, fate: Step) -> None:
    steps = (before, CycleStep("sync"), ("person", ("edit_member", 1, 3, 1)), CycleStep("sync"), fate)
    assert play(script(*steps, CycleStep("sync"))).wrong == {}


def test_f4_an_old_store_takes_nobody_from_an_entry_that_has_a_new_member() -> None:
    """Deleted for good, subscribed anew, and then the store knows the first of the two only."""
    first = (("person", ("delete_member", 1, 0, 0)), CycleStep("backfill"))
    again = (("person", ("subscribe", 1, 0, 0)), CycleStep("sync"), CycleStep("sync"))
    for kind in ("sync", "backfill"):
        touched = ("person", ("edit_entry", 1, 3, 2))
        assert play(script(*first, *again, ("restore", 3), touched, CycleStep(kind))).wrong == {}


def test_f4_an_old_store_brings_nobody_back() -> None:
    """Archived, brought back by a flag set by hand, archived once more; the store of the first time sees that flag."""
    gone, flag = ("person", ("archive", 1, 0, 0)), ("person", ("flag", 1, 0, 0))
    steps = (gone, CycleStep("backfill"), flag, CycleStep("backfill"), gone, ("restore", 1), CycleStep("backfill"))
    assert play(script(*steps)).wrong == {}


@pytest.mark.parametrize("lag", [frozenset(), LAG])
def test_d2_d3_d4_what_was_made_is_adopted(lag: frozenset[str]) -> None:
    """The entry is found by its marker, with all that it was made of, so that a later edit is no conflict."""
    first, edit = ("person", ("subscribe", 4, 3, 2)), ("person", ("edit_member", 3, 3, 2))
    steps = (first, hit("maximizer", "drop-after", "AbEntryCreate"), edit, ("wait", 400), CycleStep("sync"))
    told: list[str] = []
    assert play(script(*steps, quirks=lag), told=told.append).wrong == {}
    assert sum(" AbEntryCreate " in line for line in told) == 1
    assert any(" AbEntryUpdate " in line and "00123" in line for line in told)


def test_c1_our_own_write_is_no_news() -> None:
    """A server cuts the text that it is sent: what it holds then is what was last seen, and does not come back."""
    history = History(script(), judge=False, told=lambda line: None)
    try:
        office = history.office
        office.maximizer.quirks = frozenset({"text-truncated=3"})
        (member, entry), *_ = history.truth.pairs()
        office.mailchimp.edit(member[1], merge_fields={"REF": "00123"})
        office.sync()
        assert office.udfs(entry[1])["Reference"] == "001"
        office.quiet()
        assert office.member(member[1])["merge_fields"]["REF"] == "00123"
    finally:
        history.close()


@pytest.mark.parametrize("full", ["backfill", "sync"])
def test_a3_who_is_back_before_the_write_has_not_left(full: str) -> None:
    """Archived when the list was read, subscribed again when the flag of the entry was about to be set to No."""
    gone, changed = ("person", ("archive", 1, 0, 0)), ("person", ("edit_entry", 1, 3, 2))
    at = call_of((gone, changed, CycleStep(full)), "AbEntryUpdate")
    back = (at - 2, ("resubscribe", 1, 0, 0))
    steps = (gone, changed, CycleStep(full, between=(back,)))
    assert play(script(*steps)).wrong == {}


def test_a3_who_is_in_neither_listing_is_looked_for() -> None:
    """Archived when the list was read, back when the archived ones were; the flag No of a person outlives that."""
    before = (("person", ("flag", 1, 1, 0)), CycleStep("sync"), ("person", ("archive", 1, 0, 0)))
    at = call_of((CycleStep("backfill"),), "GET members") + 1
    assert play(script(*before, CycleStep("backfill", between=((at, ("resubscribe", 1, 0, 0)),)))).wrong == {}


def test_a3_an_entry_that_slips_between_two_pages_is_looked_for() -> None:
    """Pages of two; somebody deletes an entry of a page that was read, so that all others move up by one."""
    pages = frozenset({"page-cap=2"})
    first = call_of((CycleStep("backfill"),), "AbEntryRead")
    step = CycleStep("backfill", between=((first + 1, ("remove_entry", 0, 0, 0)),))
    assert play(script(step, quirks=pages)).wrong == {}


def test_f4_a_lost_store_knows_people_by_what_they_carry() -> None:
    """Their address differs on the two sides, because the flag is No; nobody is made anew."""
    steps = (("person", ("flag", 0, 1, 0)), ("person", ("change_member_address", 0, 5, 0)), ("lose",))
    told: list[str] = []
    assert play(script(*steps, CycleStep("sync")), told=told.append).wrong == {}
    assert not any(" AbEntryCreate " in line for line in told)


def test_r07_a_store_lost_just_after_a_create_whose_entry_no_search_shows_yet() -> None:
    """The member names the entry, and by its key it is there."""
    steps = (("person", ("change_member_address", 1, 5, 3)), CycleStep("sync"), ("lose",), CycleStep("sync"))
    assert play(script(*steps, quirks=LAG)).wrong == {}


def test_f4_an_old_store_finds_the_entry_made_for_a_member_whose_own_it_still_knows() -> None:
    """That one was removed and made anew; the member names the new one, which no search shows yet."""
    steps = (("person", ("remove_entry", 1, 0, 0)), CycleStep("backfill"), ("restore", 1), CycleStep("backfill"))
    assert play(script(*steps, quirks=LAG)).wrong == {}


def test_r09_r16_a_member_whose_entry_is_gone_does_not_pass_over_one_that_holds_its_address() -> None:
    """That other entry is linked, has no flag, and took the address long ago."""
    taken = (("person", ("change_entry_address", 7, 8, 2)), ("person", ("flag", 7, 2, 3)))
    steps = (*taken, CycleStep("backfill"), ("person", ("remove_entry", 4, 9, 0)))
    assert play(script(*steps)).wrong == {}


def test_r09_r11_an_entry_converted_in_this_very_cycle_holds_its_address() -> None:
    """Its link knows neither its new key nor its new address yet."""
    first = (("person", ("convert", 2, 0, 4)), ("person", ("resubscribe", 5, 10, 3)), CycleStep("sync"))
    moved = (("person", ("convert", 5, 10, 1)), ("person", ("change_entry_address", 7, 11, 5)))
    assert play(script(*first, *moved, ("person", ("remove_entry", 2, 4, 4)))).wrong == {}


def test_d7_r17_an_address_edited_between_the_create_and_its_read_back_is_an_edit() -> None:
    renamed = ("person", ("change_member_address", 7, 4, 3))
    first = (("person", ("copy_entry", 4, 6, 3)), CycleStep("sync", between=((5, ("add_entry", 0, 0, 4)),)), renamed)
    meanwhile = ((1, ("add_entry", 6, 0, 1)), (19, ("change_entry_address", 7, 8, 2)))
    assert play(script(*first, CycleStep("sync", between=meanwhile), quirks=LAG)).wrong == {}


def test_d3_what_an_uncertain_create_wrote_is_remembered_and_not_what_a_copy_with_its_marker_holds() -> None:
    """The member was edited, its entry's copy was not: the two differ, and that is seen."""
    replaced = (("person", ("copy_entry", 6, 2, 0)), ("person", ("remove_entry", 7, 3, 2)))
    unanswered = Misfortune("maximizer", "timeout-before", "AbEntryCreate", 1, 4)
    cycle = CycleStep("sync", between=((3, ("edit_member", 3, 4, 2)),), faults=(unanswered,))
    assert play(script(*replaced, cycle, quirks=LAG)).wrong == {}


def test_f4_an_old_store_leaves_an_entry_to_its_new_member_though_the_former_one_is_archived_and_there() -> None:
    """Made while the store was lost; the old one knows only the archived member."""
    left = (("person", ("change_member_address", 6, 11, 5)), ("person", ("archive", 6, 0, 2)))
    assert play(script(*left, ("lose",), CycleStep("sync"), ("restore", 2))).wrong == {}


def test_r11_r18_the_flag_of_a_copy_brings_nobody_back_who_was_archived() -> None:
    """The entry whose flag went to No is removed; its copy, made before, carries the marker and still says Yes."""
    archived, copied = ("person", ("archive", 2, 4, 3)), ("person", ("copy_entry", 0, 10, 1))
    more = (("person", ("archive", 6, 2, 3)), ("person", ("copy_entry", 3, 3, 2)))
    steps = (archived, *more, copied, ("map", "PLAN"), CycleStep("sync"), ("person", ("remove_entry", 6, 7, 3)))
    assert play(script(*steps)).wrong == {}
