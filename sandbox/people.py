"""People that nobody has ever met, from word lists under `data/people`; the same dice give the same people."""

import random
import re
import unicodedata
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files

PLANS = ("Basic", "Plus", "Premium")
REGIONS = ("North", "East", "South", "West")
PROFILES = ("Newsletter", "Product News", "Events", "Special Offers")
CUSTOMER_TYPES = ("Retail", "Wholesale", "Partner")
TROUBLESOME = ("NA", "null", "00123", "None", "1e5", "=1+1", "TRUE")
LEAP_SHARE = 0.02


@dataclass(frozen=True)
class Home:
    """A postal address; `country` is an ISO code, `province` the full name of `state`."""

    street: str
    unit: str
    city: str
    state: str
    province: str
    postal: str
    country: str


@dataclass(frozen=True)
class Person:
    """One invented person as the world knows them; "" and None are unknown. `birthday` and `joined` are YYYY-MM-DD."""

    first: str
    last: str
    email: str
    phone: str
    mobile: str
    home: Home
    birthday: str
    joined: str
    position: str
    website: str
    photo: str
    points: float | None
    plan: str
    region: str
    reference: str
    profiles: tuple[str, ...] = ()
    customer_type: str = ""
    second_email: str = field(default="")


def invent(dice: random.Random, number: int) -> Person:
    """The person with that number; the number makes the address unique."""
    first, last = dice.choice(words("first_names")), dice.choice(words("last_names"))
    handle = f"{ascii_letters(first)}.{ascii_letters(last)}{number}"
    site = f"https://{ascii_letters(last)}{number}.test"
    return Person(
        first=first,
        last=last,
        email=f"{handle}{dice.choice(('', '', '', '+news'))}@{dice.choice(words('mail_words'))}.test",
        phone=telephone(dice),
        mobile=telephone(dice) if dice.random() < 0.6 else "",
        home=home(dice),
        birthday=birthday(dice),
        joined=f"{dice.randint(2012, 2025)}-{dice.randint(1, 12):02}-{dice.randint(1, 28):02}",
        position=dice.choice(words("positions")),
        website=site if dice.random() < 0.4 else "",
        photo=f"{site}/me.jpg" if dice.random() < 0.3 else "",
        points=float(dice.randint(0, 5000)) / dice.choice((1, 1, 4)),
        plan=dice.choice(PLANS),
        region=dice.choice(REGIONS),
        reference=dice.choice(TROUBLESOME) if dice.random() < 0.08 else f"R{number:05}",
        profiles=tuple(name for name in PROFILES if dice.random() < 0.4),
        customer_type=dice.choice(CUSTOMER_TYPES) if dice.random() < 0.7 else "",
        second_email=f"{handle}@home.test" if dice.random() < 0.1 else "",
    )


def perturbed(person: Person, dice: random.Random) -> Person:
    """What one of the two sides knows of a person: something is missing, something is older or newer."""
    changes: dict[str, object] = {}
    for name in (
        "phone",
        "mobile",
        "birthday",
        "joined",
        "position",
        "website",
        "photo",
        "plan",
        "region",
        "reference",
    ):
        if dice.random() < 0.12:
            changes[name] = ""
    if dice.random() < 0.12:
        changes["points"] = None
    if dice.random() < 0.06:
        changes["phone"] = telephone(dice)
    if dice.random() < 0.05:
        changes["home"] = home(dice)
    if dice.random() < 0.03:
        changes["last"] = dice.choice(words("last_names"))
    if dice.random() < 0.08:
        changes["profiles"] = tuple(name for name in PROFILES if dice.random() < 0.5)
    if dice.random() < 0.05:
        changes["plan"] = dice.choice(PLANS)
    return replace(person, **changes)  # type: ignore[arg-type]


def telephone(dice: random.Random) -> str:
    """Ten digits that nobody can have: 555-01xx."""
    return f"{dice.choice(('604', '416', '514', '206', '503', '617'))}55501{dice.randint(0, 99):02}"


def dressed(dice: random.Random, digits: str) -> str:
    """The same phone number as some hand would type it."""
    if len(digits) != 10:
        return digits
    area, exchange, line = digits[:3], digits[3:6], digits[6:]
    return dice.choice(
        (
            f"{area}-{exchange}-{line}",
            f"({area}) {exchange}-{line}",
            f"{area}.{exchange}.{line}",
            f"+1 {area} {exchange} {line}",
            digits,
            f"1-{area}-{exchange}-{line} x{dice.randint(1, 99)}",
        )
    )


def home(dice: random.Random) -> Home:
    city, state, province, country, prefix = dice.choice(words("places")).split("|")
    if country == "CA":
        postal = f"{prefix} {dice.randint(1, 9)}{dice.choice('ABCEGHJKLMNPRSTVWXYZ')}{dice.randint(1, 9)}"
    else:
        postal = f"{prefix}{dice.randint(1, 99):02}"
    street = f"{dice.randint(1, 9899)} {dice.choice(words('streets'))}"
    unit = f"Unit {dice.randint(1, 40)}" if dice.random() < 0.2 else ""
    return Home(street, unit, city, state, province, postal, country)


def birthday(dice: random.Random) -> str:
    if dice.random() < LEAP_SHARE:
        return f"{dice.choice((1960, 1972, 1984, 1996))}-02-29"
    return f"{dice.randint(1945, 2004)}-{dice.randint(1, 12):02}-{dice.randint(1, 28):02}"


def company_name(dice: random.Random, number: int) -> str:
    return f"{dice.choice(words('company_words'))} {dice.choice(words('company_kinds'))} {number}"


@cache
def words(name: str) -> tuple[str, ...]:
    """The lines of `data/people/<name>.txt` that are no comments."""
    text = files("data").joinpath("people", f"{name}.txt").read_text("utf-8")
    return tuple(line for line in text.splitlines() if line and not line.startswith("#"))


def ascii_letters(name: str) -> str:
    """What a mail system makes of a name; never empty."""
    plain = unicodedata.normalize("NFKD", name.translate({0x142: "l", 0x141: "L", 0xF8: "o", 0xDF: "ss", 0xE5: "a"}))
    return re.sub(r"[^a-z]", "", plain.casefold().encode("ascii", "ignore").decode()) or "someone"
