"""R52: what a new member alone can tell reaches its entry in the same run that makes it."""

from __future__ import annotations

import json
from collections.abc import Callable

from harness import Office

STATUS = r"Marketing\List Status"
MAPPED = [("@status", STATUS)]


def test_r52_a_new_member_tells_its_entry_its_status_at_once(new_office: Callable[..., Office]) -> None:
    here = new_office(mappings=MAPPED)
    key = here.add("Ida", "Lund", "ida.lund@birchmail.test", flag="Yes")
    counts = here.sync()["counts"]
    assert here.entry(key)["udfs"][STATUS] == "subscribed"
    assert counts["maximizer"] == {"create": 0, "update": 1, "failed": 0}
    assert here.writes() == []
    assert here.writes(here.backfill) == []


def test_r52_what_stood_in_the_field_is_replaced_and_kept_in_the_change_log(new_office: Callable[..., Office]) -> None:
    here = new_office(mappings=MAPPED)
    key = here.add("Ida", "Lund", "ida.lund@birchmail.test", flag="Yes", udfs={STATUS: "unknown"})
    told = here.sync()
    assert here.entry(key)["udfs"][STATUS] == "subscribed"
    (update,) = [change for change in here.changes(told["run"]) if change["side"] == "maximizer"]
    assert '"old": "unknown"' in update["fields"]
    assert here.writes() == []


def test_r52_the_plan_names_what_only_the_new_member_will_tell(new_office: Callable[..., Office]) -> None:
    here = new_office(mappings=MAPPED)
    here.add("Ida", "Lund", "ida.lund@birchmail.test", flag="Yes", udfs={STATUS: "unknown"})
    planned = here.changes(here.plan()["run"])
    (update,) = [json.loads(change["fields"])["set"] for change in planned if change["side"] == "maximizer"]
    told = {item["field"]: (item["old"], item["new"], item["rule"]) for item in update}
    assert told["@status"] == ("unknown", "", "R52")
    assert {"#marker", *(tag for tag, _ in MAPPED)} == told.keys()


def test_r22_a_placeholder_goes_along_with_a_withheld_value_and_an_address(new_office: Callable[..., Office]) -> None:
    """Whatever becomes of the address, mandatory fields without a value keep their placeholders."""
    here = new_office(mappings=mandatory_beside_an_address())
    here.add("Ida", "Lund", "ida.lund@birchmail.test", flag="Yes", Address={"City": "Oslo"})
    assert here.sync()["counts"]["placeholders"] == 3  # and the one of a field without a mapping
    member = here.by_email("ida.lund@birchmail.test")
    assert member is not None
    assert (member["merge_fields"]["POINTS"], member["merge_fields"]["REF"]) == (0, "-")


def mandatory_beside_an_address() -> list[tuple[str, str]]:
    return [
        ("ADDRESS.addr1", "Address.AddressLine1"),
        ("ADDRESS.city", "Address.City"),
        ("POINTS", r"Marketing\Loyalty Points"),
        ("REF", r"Marketing\Reference"),
    ]
