r"""A whole invented world: one Mailchimp account and one Maximizer Address Book that know many of the same people.

    world = build_world(seed=1, people=200)
    door = Door(world.maximizer, world.clock)

One state is invented and then perturbed twice, so that the sides are related: about half of the people are on both,
a quarter each on one only. The UDFs of the synchronisation itself do not exist yet; `World.flag` works once set-up has
made them.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sandbox.clock import Clock, VirtualClock
from sandbox.mailchimp import Mailchimp
from sandbox.maximizer import Maximizer
from sandbox.people import (
    CUSTOMER_TYPES,
    PLANS,
    PROFILES,
    REGIONS,
    Person,
    company_name,
    dressed,
    home,
    invent,
    perturbed,
)

Key = tuple[str, int]
START = 1_767_603_600.0  # 2026-01-05 09:00 UTC
FLAG = r"MailChimp\Sync with MailChimp"
MAPPINGS = (
    ("ADDRESS.addr1", "Address.AddressLine1"),
    ("ADDRESS.addr2", "Address.AddressLine2"),
    ("ADDRESS.city", "Address.City"),
    ("ADDRESS.state", "Address.StateProvince"),
    ("ADDRESS.zip", "Address.ZipCode"),
    ("ADDRESS.country", "Address.Country"),
    ("PHONE", "Phone1"),
    ("MOBILE", "Phone2"),
    ("JOB", "Position"),
    ("WEBSITE", "WebSite"),
    ("BIRTHDAY", r"Marketing\Birthday"),
    ("JOINED", r"Marketing\Joined"),
    ("POINTS", r"Marketing\Loyalty Points"),
    ("PLAN", r"Marketing\Plan"),
    ("REGION", r"Marketing\Region"),
    ("POSTCODE", r"Marketing\Billing ZIP"),
    ("REF", r"Marketing\Reference"),
    ("PHOTO", r"Marketing\Web\Photo"),
    ("group:Email Profile", r"Marketing\Email Opt-In"),
    ("group:Customer Type", r"Marketing\Customer Type"),
    ("@status", r"Marketing\List Status"),
)
COUNTRY_NAMES = {"CA": ("CA", "Canada", "CAN", "canada"), "US": ("US", "USA", "United States", "U.S.A.")}
# Of every 20 members: what became of them.
FATES = ("unsubscribe", "clean", "archive", "pending", *(("",) * 16))


@dataclass
class World:
    """`pairs`: (contact_id, key) of people on both sides. `to_flag`: entries that somebody wants on the list."""

    mailchimp: Mailchimp
    maximizer: Maximizer
    list_id: str
    clock: Clock
    pairs: list[tuple[str, Key]] = field(default_factory=list)
    mailchimp_only: list[str] = field(default_factory=list)
    maximizer_only: list[Key] = field(default_factory=list)
    companies: list[Key] = field(default_factory=list)
    to_flag: list[Key] = field(default_factory=list)

    def suggested_mappings(self) -> list[tuple[str, str]]:
        """(tag, field) beside the default mappings of names and address; every kind of field is there."""
        return list(MAPPINGS)

    def flag(self, keys: Iterable[Key] | None = None, path: str = FLAG) -> int:
        """Sets the flag of these entries (default: `to_flag`) to Yes, as a person would, and says how many.

        Raises KeyError before set-up has made the field.
        """
        chosen = self.to_flag if keys is None else list(keys)
        for key in chosen:
            self.maximizer.edit(key, {path: "Yes"})
        return len(chosen)


def build_world(
    seed: int = 0,
    people: int = 2000,
    profile: str = "on-premise",
    clock: Clock | None = None,
    quirks: Iterable[str] = frozenset(),
) -> World:
    """The same seed gives the same world. Without a `clock` it gets a virtual one, and its people arrive over time."""
    dice = random.Random(f"world:{seed}")
    time = clock or VirtualClock(START)
    mailchimp = Mailchimp(time, seed=seed)
    maximizer = Maximizer(time, profile, seed=seed, quirks=quirks)
    world = World(mailchimp, maximizer, _list(mailchimp), time)
    _definitions(maximizer)
    world.companies = [_company(maximizer, dice, n) for n in range(max(1, people // 20))]
    for number in range(people):
        _settle(world, dice, invent(dice, number), place=dice.random())
        if clock is None:
            time.advance(dice.randint(0, 60))
    return world


# --- definitions ----------------------------------------------------------------------------------------------------


def _list(mailchimp: Mailchimp) -> str:
    list_id = mailchimp.add_list("Lantern Street Letter")
    for tag, name, kind, required, options in (
        ("ADDRESS", "Address", "address", False, None),
        ("PHONE", "Phone Number", "phone", False, None),
        ("BIRTHDAY", "Birthday", "birthday", False, None),
        ("JOB", "Job Title", "text", False, None),
        ("MOBILE", "Mobile", "phone", False, {"phone_format": "US"}),
        ("WEBSITE", "Website", "url", False, None),
        ("PHOTO", "Photo", "imageurl", False, None),
        ("JOINED", "Customer Since", "date", False, None),
        ("POINTS", "Loyalty Points", "number", True, None),
        ("PLAN", "Plan", "radio", True, [*PLANS]),
        ("REGION", "Region", "dropdown", False, [*REGIONS]),
        ("POSTCODE", "Billing ZIP", "zip", False, None),
        ("REF", "Reference", "text", True, None),
    ):
        mailchimp.add_merge_field(list_id, tag, name, kind, required=required, options=options)
    mailchimp.add_group(list_id, "Email Profile", [*PROFILES, "Surveys"])
    mailchimp.add_group(list_id, "Customer Type", [*CUSTOMER_TYPES], "radio")
    return list_id


def _definitions(maximizer: Maximizer) -> None:
    """Some items are known to one side only."""
    maximizer.add_udf(r"Marketing\Reference", "text", max_length=30)
    maximizer.add_udf(r"Marketing\Loyalty Points", "number", decimals=2)
    maximizer.add_udf(r"Marketing\Joined", "date")
    maximizer.add_udf(r"Marketing\Birthday", "annual")
    maximizer.add_udf(r"Marketing\Plan", "single", [*PLANS, "Platinum"])
    maximizer.add_udf(r"Marketing\Region", "single", [*reversed(REGIONS)])
    maximizer.add_udf(r"Marketing\Billing ZIP", "text", max_length=12)
    maximizer.add_udf(r"Marketing\Email Opt-In", "multi", [*reversed(PROFILES), "Printed Catalogue"])
    maximizer.add_udf(r"Marketing\Customer Type", "multi", [*CUSTOMER_TYPES])
    maximizer.add_udf(r"Marketing\Newsletter Consent", "yesno")
    maximizer.add_udf(r"Marketing\List Status", "text", max_length=20)
    maximizer.add_udf(r"Marketing\Web\Photo", "text")
    maximizer.add_udf(r"Accounts\Revenue", "number", applies_to=("Company",))


# --- people ---------------------------------------------------------------------------------------------------------


def _company(maximizer: Maximizer, dice: random.Random, number: int) -> Key:
    place = home(dice)
    return maximizer.add_company(
        company_name(dice, number), WebSite=f"https://firm{number}.test", Address={"City": place.city}
    )


def _settle(world: World, dice: random.Random, person: Person, place: float) -> None:
    """Half of the people are on both sides, a quarter on each only; some of these bring trouble along."""
    contact_id = _member(world, dice, perturbed(person, dice)) if place < 0.75 else None
    key = _entry(world, dice, perturbed(person, dice)) if place < 0.5 or contact_id is None else None
    if contact_id is not None and key is not None:
        world.pairs.append((contact_id, key))
    elif contact_id is not None:
        world.mailchimp_only.append(contact_id)
    if key is not None and contact_id is None:
        world.maximizer_only.append(key)
        if dice.random() < 0.25:
            world.to_flag.append(key)
    if key is not None and dice.random() < 0.02:
        relative = perturbed(invent(dice, 0), dice)
        shared: dict[str, Any] = {"Email1": person.email, "Address": _address(dice, person)}
        twin = world.maximizer.add_person(relative.first, person.last, **shared)
        world.maximizer_only.append(twin)


def _member(world: World, dice: random.Random, person: Person) -> str:
    email = person.email
    if dice.random() < 0.15:
        email = dice.choice((email.upper(), email.title(), email[0].upper() + email[1:]))
    merge: dict[str, Any] = {
        "FNAME": person.first if dice.random() > 0.03 else "",
        "LNAME": person.last if dice.random() > 0.03 else "",
        "PHONE": dressed(dice, person.phone),
        "JOB": person.position,
        "WEBSITE": person.website,
        "PHOTO": person.photo,
        "JOINED": person.joined,
        "BIRTHDAY": person.birthday[5:].replace("-", "/"),
        "POINTS": "" if person.points is None else person.points,
        "PLAN": person.plan,
        "REGION": person.region,
        "REF": person.reference,
    }
    if person.mobile:
        merge["MOBILE"] = f"{person.mobile[:3]}-{person.mobile[3:6]}-{person.mobile[6:]}"
    if person.home.country == "US":
        merge["POSTCODE"] = person.home.postal
    if dice.random() < 0.7:
        home = person.home
        parts = (home.street, home.unit, home.city, home.state, home.postal, home.country)
        merge["ADDRESS"] = dict(zip(("addr1", "addr2", "city", "state", "zip", "country"), parts, strict=True))
    interests = [*person.profiles, *filter(None, [person.customer_type])]
    fate = dice.choice(FATES)
    status = "pending" if fate == "pending" else "subscribed"
    language = dice.choice(("", "en", "fr"))
    contact_id = world.mailchimp.subscribe(world.list_id, email, merge, interests, status, language)
    if fate == "unsubscribe":
        world.mailchimp.unsubscribe(contact_id, reason=dice.choice(("", "Too many e-mails", "No longer interested")))
    elif fate == "clean":
        world.mailchimp.clean(contact_id)
    elif fate == "archive":
        world.mailchimp.archive(contact_id)
    return contact_id


def _entry(world: World, dice: random.Random, person: Person) -> Key:
    email = person.email if dice.random() > 0.02 else ""
    udfs = {
        r"Marketing\Reference": person.reference,
        r"Marketing\Loyalty Points": person.points,
        r"Marketing\Joined": person.joined,
        r"Marketing\Birthday": person.birthday,
        r"Marketing\Plan": "Platinum" if dice.random() < 0.02 else person.plan,
        r"Marketing\Region": person.region,
        r"Marketing\Billing ZIP": person.home.postal,
        r"Marketing\Email Opt-In": list(person.profiles),
        r"Marketing\Customer Type": person.customer_type,
        r"Marketing\Newsletter Consent": dice.choice(("Yes", "No", None)),
        r"Marketing\Web\Photo": person.photo,
    }
    fields: dict[str, Any] = {
        "Phone1": dressed(dice, person.phone),
        "Phone2": dressed(dice, person.mobile),
        "Position": person.position,
        "WebSite": person.website,
        "Email2": person.second_email,
        "Address": _address(dice, person),
    }
    if dice.random() < 0.3:
        fields |= {"type": "Contact", "parent": dice.choice(world.companies)}
    return world.maximizer.add_person(person.first, person.last, email, udfs=udfs, **fields)


def _address(dice: random.Random, person: Person) -> dict[str, str]:
    """Some are half filled in; countries and provinces are written as people write them."""
    home = person.home
    if dice.random() < 0.06:
        return {"City": home.city}
    return {
        "AddressLine1": home.street,
        "AddressLine2": home.unit,
        "City": home.city,
        "StateProvince": home.state if dice.random() < 0.9 else home.province,
        "ZipCode": home.postal,
        "Country": dice.choice(COUNTRY_NAMES[home.country]),
    }
