"""A world with somebody in every situation that a report or a forecast has a name for, right before a cycle."""

from __future__ import annotations

import contextlib
from dataclasses import replace

from crowd import mappings
from harness import FLAG, MARKER, Office

from domain.errors import Incomplete
from storage import parking
from storage.engine import begin

PLAN, REF = r"Marketing\Plan", r"Marketing\Reference"
LINKED = (
    "calm", "both", "gone", "mute", "quiet", "renamed", "taken", "moved", "away", "blank", "leaver", "archived",
    "shelved", "deleted", "erasable", "lost", "missing", "returned", "revived", "parted", "converted", "copied",
    "protected", "withheld", "locked", "ignored", "unsound", "twice", "unsure", "widow", "barred",
)  # fmt: skip


class Gallery:
    """``office`` stands right before the cycle in question; ``keys`` and ``members`` by name."""

    def __init__(self, url: str) -> None:
        self.office = office = Office(url, mappings=[*mappings(), ("JOB", "Position")], judge=True)
        self.keys: dict[str, tuple[str, int]] = {}
        self.members: dict[str, str] = {}
        self.firm = office.maximizer.add_company("Lantern Works", Email1="firm@lantern.test")
        self._linked()
        self._waiting()
        self._unclear()
        self._since_then()

    def mail(self, name: str) -> str:
        return f"{name}@lantern.test"

    def sign_up(self, name: str, **more: object) -> str:
        fields = {"REF": "R-1", "PLAN": "Plus", "POINTS": 7, "JOB": "Baker"}
        self.members[name] = self.office.subscribe(self.mail(name), name.title(), "Reed", merge_fields=fields, **more)
        return self.members[name]

    def enter(self, name: str, email: str | None = None, flag: str | None = "Yes", **more: object) -> tuple[str, int]:
        text = self.mail(name) if email is None else email
        self.keys[name] = self.office.add(name.title(), "Reed", text, flag=flag, **more)
        return self.keys[name]

    def flag(self, name: str, value: str | None) -> None:
        self.office.maximizer.edit(self.keys[name], {FLAG: value})

    def _linked(self) -> None:
        """Everybody who was synchronised at least once."""
        office = self.office
        for name in LINKED:
            self.sign_up(name)
        office.sync()
        for name in LINKED:
            (self.keys[name],) = office.entries(self.mail(name))
        office.mailchimp.archive(self.members["shelved"])
        office.mailchimp.archive(self.members["revived"])
        office.mailchimp.archive(self.members["returned"])
        office.mailchimp.archive(self.members["parted"])
        office.mailchimp.unsubscribe(self.members["away"])
        office.mailchimp.unsubscribe(self.members["leaver"])
        office.backfill()
        self.flag("quiet", "No")
        office.sync()

    def _waiting(self) -> None:
        """What a run has already set aside."""
        office = self.office
        for name in ("double-a", "double-b"):
            self.enter(name, "double@lantern.test")
        self.enter("unflagged-a", "torn@lantern.test", None)
        self.enter("unflagged-b", "torn@lantern.test", None)
        self.sign_up("torn")
        for name in ("freed-a", "freed-b"):
            self.enter(name, "freed@lantern.test")
        self.sign_up("freed")
        self.keys["copy"] = office.maximizer.copy_entry(self.keys["copied"])
        for name in ("fake", "mended", "released", "dropped"):
            self.enter(name)
            office.mailchimp.fake_addresses.add(self.mail(name))
        self.enter("bad", "not an address")
        self.enter("left-for-good")
        self.sign_up("left-for-good-member")
        office.mailchimp.archive(self.members.pop("left-for-good-member"))
        self.enter("blocked", "left-for-good-member@lantern.test")
        for reason in ("erased", "forgotten"):
            with begin(office.engine) as db:
                parking.suppress(db, office.connection.id, self.mail(reason), reason, office.clock.now())
            self.enter(reason)
        self.sign_up("erased")
        with begin(office.engine) as db:
            parking.suppress(db, office.connection.id, self.mail("stays-away"), "erased", office.clock.now())
        self.sign_up("stays-away")
        audience, member = office.mailchimp.locate(self.members["unsound"])
        audience.put(replace(member, email="no address", last_changed=int(office.clock.now())))
        office.maximizer.protect([self.keys["locked"]])
        office.mailchimp.edit(self.members["locked"], {"REF": "R-2"})
        office.mailchimp.ignored_tags.add("MOBILE")
        office.maximizer.edit(self.keys["ignored"], {"Phone2": "6045550101"})
        office.maximizer.edit(self.keys["withheld"], {PLAN: "Platinum"})
        office.mailchimp.edit(self.members["protected"], {"JOB": "Smith"})
        office.maximizer.edit(self.keys["taken"], {"Email1": self.mail("calm")})
        office.sync()
        office.sync()

    def _unclear(self) -> None:
        """A write without an answer, and one refused for the first time, which may pass."""
        office = self.office
        office.maximizer.protect([self.keys["barred"]])
        office.mailchimp.edit(self.members["barred"], {"REF": "R-2"})
        office.maximizer.edit(self.keys["unsure"], {REF: "R-9"})
        office.doors["mailchimp"].faults.at("mailchimp", 1, "timeout-before", "PATCH member", 9)
        with contextlib.suppress(Incomplete):
            office.sync()
        office.doors["mailchimp"].faults.clear()

    def _since_then(self) -> None:
        """What people did since the last run."""
        office, mailchimp, maximizer = self.office, self.office.mailchimp, self.office.maximizer
        office.clock.advance(20)
        maximizer.edit(self.keys["both"], {PLAN: "Premium", REF: "ours"})
        mailchimp.edit(self.members["both"], {"REF": "theirs", "POINTS": 12.5})
        maximizer.edit(self.keys["renamed"], {"Email1": self.mail("renamed2")})
        mailchimp.change_email(self.members["moved"], self.mail("moved2"))
        mailchimp.change_email(self.members["away"], self.mail("away2"))
        maximizer.edit(self.keys["blank"], {"Email1": ""})
        maximizer.edit(self.keys["mute"], {FLAG: "No", REF: "R-5"})
        mailchimp.archive(self.members["archived"])
        maximizer.edit(self.keys["archived"], {"LastName": "Stone"})
        mailchimp.archive(self.members["gone"])
        mailchimp.delete_permanently(self.members["deleted"])
        mailchimp.delete_permanently(self.members["erasable"])
        maximizer.edit(self.keys["erasable"], {"LastName": "Stone"})
        maximizer.remove(self.keys["lost"])
        maximizer.remove(self.keys["missing"])
        mailchimp.edit(self.members["missing"], {"REF": "R-6"})
        mailchimp.resubscribe(self.members["returned"])
        self.flag("revived", "Yes")
        office.revived.add(self.members["revived"])
        self.keys["converted"] = maximizer.convert_to_contact(self.keys["converted"], self.firm)
        mailchimp.edit(self.members["converted"], {"REF": "R-4"})
        mailchimp.unsubscribe(self.members["widow"])
        maximizer.remove(self.keys["widow"])
        self.keys["twice-copy"] = maximizer.copy_entry(self.keys["twice"])
        self._newcomers()
        maximizer.edit(self.keys["freed-b"], {"Email1": self.mail("freed-b")})
        maximizer.edit(self.keys["mended"], {"FirstName": "Amended"})
        self.flag("dropped", "No")
        self._release(self.keys["released"])
        office.clock.advance(20)

    def _release(self, key: tuple[str, int]) -> None:
        (row,) = [row for row in self.office.quarantined() if row["key"] == f"new:{key[0]}#{key[1]}"]
        with begin(self.office.engine) as db:
            parking.release(db, row["id"])

    def _newcomers(self) -> None:
        office, mailchimp = self.office, self.office.mailchimp
        self.sign_up("new-member")
        self.enter("new-entry", udfs={REF: "R-3"})
        self.sign_up("meeting")
        self.enter("meeting", flag=None, udfs={REF: "other"})
        self.enter("flag-no", flag="No")
        self.enter("unset", flag=None)
        self.enter("no-mail", "")
        self.enter("new-bad", "nor this")
        for status in ("unsubscribed", "cleaned", "pending", "transactional"):
            self.sign_up(status, status=status)
        self.sign_up("stored")
        mailchimp.archive(self.members["stored"])
        self.enter("asks-back", self.mail("stored"))
        contact_id = self.sign_up("nameless")
        audience, member = mailchimp.locate(contact_id)
        audience.put(replace(member, email=""))
        for name in ("pair-a", "pair-b"):
            self.enter(name, "pair@lantern.test")
        self.enter("split-a", "split@lantern.test", None)
        self.enter("split-b", "split@lantern.test", None)
        self.sign_up("split")
        self.enter("numbered", "", udfs={})
        for name in ("claims-a", "claims-b"):
            self.sign_up(name)
            mailchimp.edit(
                self.members[name], {"CLIENTID": self.keys["numbered"][0], "CONTACTNO": self.keys["numbered"][1]}
            )
        self.enter("carried", "carried-elsewhere@lantern.test")
        mailchimp.edit(
            self.sign_up("carrier"), {"CLIENTID": self.keys["carried"][0], "CONTACTNO": self.keys["carried"][1]}
        )
        uid = office.member(self.sign_up("marks"))["unique_email_id"]
        self.enter("marked", "marked@harbour.test", udfs={MARKER: uid})
        self.enter("addressed", self.mail("marks"))
        self.enter("intruder", self.mail("calm"))
        self.enter("web-marked", "web@harbour.test", udfs={MARKER: str(office.member(self.sign_up("webby"))["web_id"])})
        second = self.enter("second", "first@harbour.test", None)
        office.maximizer.edit(second, {"Email2": self.mail("new-member")})

    def _stamp(self, member: str, entry: str) -> None:
        client_id, number = self.keys[entry]
        self.office.mailchimp.edit(self.members[member], {"CLIENTID": client_id, "CONTACTNO": number})
