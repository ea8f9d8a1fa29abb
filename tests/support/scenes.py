"""What people did before a cycle that is going to be killed: one situation each, with what has to come of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from crowd import mappings
from harness import FLAG, MARKER
from killing import Stand, moved_in
from shelves import Shelf

NEW = ("gil", "hal", "ida")
NAMES = ("ann", "bea", "cyd", "dan", "eve", "fay")
PARTS = {"addr1": "1 Elm St", "addr2": "", "city": "Reno", "state": "NV", "zip": "89501", "country": "US"}
ADDRESS = tuple(
    (f"ADDRESS.{part}", f"Address.{name}")
    for part, name in (
        ("addr1", "AddressLine1"), ("addr2", "AddressLine2"), ("city", "City"), ("state", "StateProvince"),
        ("zip", "ZipCode"), ("country", "Country"),
    )
)  # fmt: skip
REF, POINTS, PLAN = (rf"Marketing\{name}" for name in ("Reference", "Loyalty Points", "Plan"))
OPT_IN = r"Marketing\Email Opt-In"


@dataclass(frozen=True)
class Scene:
    """``act`` prepares; ``proof`` says of an undisturbed run's end that the situation was what its name says.

    ``cycles``: kinds of the cycles that are killed; ``whole``: also before anything is to be written.
    """

    name: str
    act: Callable[[Stand], None]
    proof: Callable[[Stand], bool]
    cycles: tuple[str, ...] = ("sync",)
    parallel: int = 1
    whole: bool = False


@dataclass(frozen=True)
class Still:
    """A world and a kept store at one moment, and who may be brought back later (R18)."""

    world: Any
    kept: str
    revived: frozenset[str] = frozenset()

    def stand(self, shelf: Shelf) -> Stand:
        """A copy to play on; the one made before on this shelf is gone."""
        made = moved_in(self.world, shelf.take(self.kept))
        made.revived |= self.revived
        return made


def base(shelf: Shelf) -> Still:
    """A world of six linked people after set-up and first sync, and the store as it is then."""
    from stage import Small

    url = shelf.empty()
    office = Small(url, mappings=[*mappings(), *ADDRESS, ("@status", r"Marketing\List Status")])
    office.maximizer.add_company("Lantern Works")
    for number, name in enumerate(NAMES):
        fields = {"REF": f"R-{number}", "PLAN": "Plus", "POINTS": 7}
        office.subscribe(f"{name}@lantern.test", name.title(), "Reed", merge_fields=fields, interests=["Newsletter"])
        if number % 2:
            office.add(name.title(), "Reed", f"{name}@lantern.test", flag="Yes", udfs={REF: f"R-{number}"})
    office.sync()
    office.sync()
    office.quiet(0)
    office.engine.dispose()
    return Still(office.world, shelf.keep(url))


# --- both sides, as a person would look at them ------------------------------------------------------------------


def facts(stand: Stand) -> dict[str, Any]:
    """All that matters of both sides and of what is remembered, by address: nothing here depends on ids or times."""
    entries = stand.maximizer.entries()
    members = stand.mailchimp.members(stand.list_id)
    by_id = {row["contact_id"]: row["email_address"].lower() for row in members}
    by_marker = {row["unique_email_id"]: row["email_address"].lower() for row in members}
    kept = ("Type", "FirstName", "LastName", "Phone2", "Email1", "Email2")

    def whose(entry_id: str) -> str:
        client, _, number = entry_id.rpartition("#")
        row = entries.get((client, int(number or -1)))
        return f"{row['Type']} {row['Email1']}" if row else "gone"

    def member(row: dict[str, Any]) -> tuple[Any, ...]:
        merge = dict(row["merge_fields"])
        stamp = whose(f"{merge.pop('CLIENTID')}#{merge.pop('CONTACTNO')}") if merge["CLIENTID"] else ""
        merge.pop("CONTACTNO", None)
        chosen = sorted(name for name, on in row["interests"].items() if on)
        return row["email_address"], row["status"], tuple(sorted(map(str, merge.items()))), tuple(chosen), stamp

    def entry(row: dict[str, Any]) -> tuple[Any, ...]:
        udfs = {name.rpartition("\\")[2]: value for name, value in row["udfs"].items() if name != MARKER}
        marker = row["udfs"].get(MARKER)
        owner = by_marker.get(marker, f"nobody ({marker})") if marker else ""
        address = tuple(sorted(row["Address"].items()))
        return (*(row[name] for name in kept), address, tuple(sorted(map(str, udfs.items()))), owner)

    return {
        "members": sorted(map(member, members)),
        "entries": sorted(entry(row) for row in entries.values() if row["Type"] != "Company"),
        "links": sorted(
            (row["state"], by_id.get(row["contact_id"], "gone"), whose(row["entry_id"]), bool(row["flag_ours"]))
            for row in stand.links()
        ),
        "waiting": sorted((row["side"], row["rule"], row["reason"], row["field"]) for row in stand.quarantined()),
    }


def udf(stand: Stand, name: str, path: str) -> Any:
    return stand.entry(stand.key(name))["udfs"][path]


# --- the situations ----------------------------------------------------------------------------------------------


def _new_member(stand: Stand) -> None:
    fields = {"REF": "R-9", "ADDRESS": PARTS}
    stand.subscribe("gil@lantern.test", "Gil", "Moor", merge_fields=fields, interests=["Newsletter", "Events"])


def _new_members(stand: Stand) -> None:
    for name in NEW:
        stand.subscribe(f"{name}@lantern.test", name.title(), "Moor", merge_fields={"REF": name})


def _new_entries(stand: Stand) -> None:
    for name in NEW:
        stand.add(name.title(), "Moor", f"{name}@lantern.test", flag="Yes", udfs={REF: name})


def _to_mailchimp(stand: Stand) -> None:
    stand.maximizer.edit(stand.key("ann"), {"LastName": "Stone", PLAN: "Premium", "Phone2": "6045550101"})
    parts = {"AddressLine1": "9 Oak St", "City": "Reno", "StateProvince": "NV", "ZipCode": "89501", "Country": "US"}
    stand.maximizer.edit(stand.key("bea"), {"Address": parts, REF: "R-77"})


def _to_maximizer(stand: Stand) -> None:
    stand.mailchimp.edit(stand.contact("ann"), {"REF": "R-88", "PLAN": "Basic", "FNAME": "Anna"})
    stand.mailchimp.edit(stand.contact("bea"), {"POINTS": 12.5, "BIRTHDAY": "11/05"})


def _first_meeting(stand: Stand) -> None:
    stand.subscribe("gil@lantern.test", "Gil", "Moor", merge_fields={"REF": "theirs", "PLAN": "Basic"})
    stand.add("Gil", "Stone", "gil@lantern.test", udfs={REF: "ours", POINTS: 3})


def _member_renamed(stand: Stand) -> None:
    stand.mailchimp.change_email(stand.contact("ann"), "gil@lantern.test")


def _renamed_after_leaving(stand: Stand) -> None:
    """Not subscribed when last seen, then back under another address: the old one stays off the list (R13, R18)."""
    contact_id = stand.contact("ann")
    stand.mailchimp.unsubscribe(contact_id)
    stand.sync()
    stand.mailchimp.resubscribe(contact_id)
    stand.mailchimp.change_email(contact_id, "gil@lantern.test")


def _followed(stand: Stand) -> None:
    stand.set(email_change="follow")
    _member_renamed(stand)


def _entry_renamed(stand: Stand) -> None:
    stand.maximizer.edit(stand.key("ann"), {"Email1": "gil@lantern.test", "LastName": "Stone"})


def _departures(stand: Stand) -> None:
    stand.mailchimp.archive(stand.contact("ann"))
    stand.mailchimp.delete_permanently(stand.contact("bea"))


def _entry_deleted(stand: Stand) -> None:
    stand.maximizer.remove(stand.key("ann"))
    stand.mailchimp.edit(stand.contact("ann"), {"REF": "R-5"})


def _revival(stand: Stand) -> None:
    contact_id, key = stand.contact("ann"), stand.key("ann")
    stand.mailchimp.archive(contact_id)
    stand.backfill()
    assert stand.entry(key)["udfs"][FLAG] == "No"
    stand.maximizer.edit(key, {FLAG: "Yes", "LastName": "Stone"})
    stand.revived.add(contact_id)


def _return(stand: Stand) -> None:
    contact_id = stand.contact("ann")
    stand.mailchimp.archive(contact_id)
    stand.backfill()
    stand.mailchimp.resubscribe(contact_id)
    stand.maximizer.edit(stand.key("ann"), {"LastName": "Stone"})


def _groups(stand: Stand) -> None:
    stand.mailchimp.edit(stand.contact("ann"), interests={"Newsletter": False, "Events": True, "Surveys": True})
    stand.maximizer.edit(stand.key("bea"), {OPT_IN: ["Special Offers", "Printed Catalogue"]})


def _conflict(stand: Stand) -> None:
    for name in ("ann", "bea"):
        stand.mailchimp.edit(stand.contact(name), {"REF": "theirs", "PLAN": "Basic"})
        stand.maximizer.edit(stand.key(name), {REF: "ours", POINTS: 3})


def _conflict_for_mailchimp(stand: Stand) -> None:
    stand.set(conflict="mailchimp")
    _conflict(stand)


def _refused(stand: Stand) -> None:
    stand.mailchimp.fake_addresses.add("hal@lantern.test")
    stand.mailchimp.delete_permanently(stand.contact("fay"))
    stand.maximizer.edit(stand.key("fay"), {FLAG: "No"})
    stand.backfill()
    stand.maximizer.edit(stand.key("fay"), {FLAG: "Yes"})
    for name in ("gil", "hal", "ida"):
        stand.add(name.title(), "Moor", f"{name}@lantern.test", flag="Yes")
    stand.maximizer.protect([stand.key("ann")])
    for name in ("ann", "bea"):
        stand.mailchimp.edit(stand.contact(name), {"REF": "R-6"})


def _not_stored(stand: Stand) -> None:
    stand.mailchimp.ignored_tags.add("MOBILE")
    for name in ("ann", "bea"):
        stand.maximizer.edit(stand.key(name), {"Phone2": "6045550101", "LastName": "Stone"})


def _converted(stand: Stand) -> None:
    company = next(key for key, row in stand.maximizer.entries().items() if row["Type"] == "Company")
    stand.maximizer.convert_to_contact(stand.key("ann"), company)
    stand.mailchimp.edit(stand.contact("ann"), {"REF": "R-4"})


def _unsubscribed(stand: Stand) -> None:
    stand.mailchimp.unsubscribe(stand.contact("ann"), by="person")
    stand.mailchimp.clean(stand.contact("bea"))
    stand.maximizer.edit(stand.key("ann"), {"LastName": "Stone"})


def _mapping_added(stand: Stand) -> None:
    for name in ("ann", "bea"):
        stand.mailchimp.edit(stand.contact(name), {"JOB": "Baker"})
        stand.maximizer.edit(stand.key(name), {"Position": "Smith"})
    stand.map("JOB", "Position")


def _everything(stand: Stand) -> None:
    _new_member(stand)
    stand.add("Hal", "Moor", "hal@lantern.test", flag="Yes")
    stand.mailchimp.change_email(stand.contact("ann"), "ida@lantern.test")
    stand.maximizer.edit(stand.key("bea"), {"Email1": "jon@lantern.test"})
    stand.mailchimp.archive(stand.contact("cyd"))
    stand.maximizer.remove(stand.key("dan"))
    stand.mailchimp.edit(stand.contact("eve"), {"REF": "R-1", "FNAME": "Evi"})
    stand.maximizer.edit(stand.key("eve"), {POINTS: 9, "LastName": "Stone"})


def _marked(stand: Stand, *names: str) -> bool:
    """Whether each has one entry, which carries the marker of its member."""
    return all(udf(stand, name, MARKER) == stand.member(stand.contact(name))["unique_email_id"] for name in names)


SCENES = (
    Scene("new member", _new_member, lambda s: _marked(s, "gil") and udf(s, "gil", REF) == "R-9", whole=True),
    Scene("new members", _new_members, lambda s: _marked(s, *NEW)),
    Scene("new members, four at a time", _new_members, lambda s: _marked(s, *NEW), parallel=4),
    Scene("new entries", _new_entries, lambda s: _marked(s, *NEW) and s.merge("ida@lantern.test")["REF"] == "ida"),
    Scene(
        "fields to Mailchimp",
        _to_mailchimp,
        lambda s: s.merge("ann@lantern.test")["PLAN"] == "Premium" and s.merge("bea@lantern.test")["REF"] == "R-77",
    ),
    Scene(
        "fields to Maximizer", _to_maximizer, lambda s: (udf(s, "ann", REF), udf(s, "bea", POINTS)) == ("R-88", 12.5)
    ),
    Scene(
        "first meeting", _first_meeting, lambda s: _marked(s, "gil") and s.merge("gil@lantern.test")["REF"] == "ours"
    ),
    Scene("address changed in Mailchimp", _member_renamed, lambda s: _marked(s, "ann", "gil"), ("sync", "sync")),
    Scene(
        "address changed after leaving",
        _renamed_after_leaving,
        lambda s: _marked(s, "gil") and s.by_email("ann@lantern.test") is None,
    ),
    Scene(
        "address followed",
        _followed,
        lambda s: _marked(s, "gil") and not s.entries("ann@lantern.test"),
    ),
    Scene(
        "address changed in Maximizer",
        _entry_renamed,
        lambda s: _marked(s, "gil") and not s.by_email("ann@lantern.test"),
    ),
    Scene("departures", _departures, lambda s: udf(s, "ann", FLAG) == udf(s, "bea", FLAG) == "No", ("backfill",)),
    Scene("entry deleted", _entry_deleted, lambda s: _marked(s, "ann") and udf(s, "ann", REF) == "R-5"),
    Scene("revival", _revival, lambda s: s.member(s.contact("ann"))["status"] == "subscribed"),
    Scene("return", _return, lambda s: udf(s, "ann", FLAG) == "Yes"),
    Scene("groups", _groups, lambda s: "Events" in udf(s, "ann", OPT_IN)),
    Scene(
        "conflict", _conflict, lambda s: s.merge("ann@lantern.test")["REF"] == "ours" and udf(s, "ann", PLAN) == "Basic"
    ),
    Scene("conflict, Mailchimp overrides", _conflict_for_mailchimp, lambda s: udf(s, "ann", REF) == "theirs"),
    Scene("refusals", _refused, lambda s: _marked(s, "gil", "ida") and len(s.quarantined()) == 3),
    Scene("accepted and not stored", _not_stored, lambda s: len(s.quarantined()) == 2),
    Scene(
        "converted to a Contact", _converted, lambda s: s.entry(s.key("ann"))["Type"] == "Contact" and _marked(s, "ann")
    ),
    Scene("unsubscribed", _unsubscribed, lambda s: s.member(s.contact("ann"))["status"] == "unsubscribed"),
    Scene("mapping added", _mapping_added, lambda s: s.merge("ann@lantern.test")["JOB"] == "Smith"),
    Scene("everything at once", _everything, lambda s: _marked(s, "ann", "ida", "jon", "hal"), ("backfill", "sync")),
)


def played(shelf: Shelf, scene: Scene, ground: Still) -> Still:
    """Right before the scene's cycle."""
    stand = ground.stand(shelf)
    scene.act(stand)
    stand.engine.dispose()
    return Still(stand.world, shelf.keep(stand.url), frozenset(stand.revived))
