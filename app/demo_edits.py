"""What people do between two synchronisations of the demo, and what has to become of it on the other side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from app.demo_people import Onlooker

OPT_IN, POINTS, REGION = r"Marketing\Email Opt-In", r"Marketing\Loyalty Points", r"Marketing\Region"
STATUS, FLAG, MARKER = r"Marketing\List Status", r"MailChimp\Sync with MailChimp", r"MailChimp\MailChimp ID"
Write = tuple[str, str]  # side, and create, update or failed
MEMBER, ENTRY = ("mailchimp", "update"), ("maximizer", "update")
NEW_MEMBER, NEW_ENTRY, REFUSED = ("mailchimp", "create"), ("maximizer", "create"), ("mailchimp", "failed")
MANY = 10


@dataclass(frozen=True)
class Edit:
    """``did``: what happened, in words. ``became``: what has to come of it. ``holds`` looks whether it did.

    ``writes``: the writes that it causes, no more and no less.
    """

    did: str
    became: str
    holds: Callable[[], bool]
    writes: tuple[Write, ...] = ()


def expected(edits: list[Edit]) -> Counter[Write]:
    """All writes of the cycle after these edits."""
    return Counter(write for edit in edits for write in edit.writes)


class Hands(Onlooker):
    """People at work in both products; each edit takes persons of its own, so that none hides another one."""

    def all(self) -> list[Edit]:
        """Make every edit."""
        return [
            self.many_positions(), self.married(), self.phone(), self.crm_groups(), self.points(), self.own_group(),
            self.first_name(), self.both_fields(), self.same_field(), self.crm_address(), self.own_address(),
            self.unsubscribed(), self.archived(), self.deleted(), self.new_customer(), self.new_subscriber(),
            self.refused(),
        ]  # fmt: skip

    # --- edits in Maximizer ------------------------------------------------------------------------------------------

    def many_positions(self) -> Edit:
        people = [next(self.pairs) for _ in range(MANY)]
        for _, key in people:
            self.maximizer.edit(key, {"Position": "Lighthouse Keeper"})
        return Edit(
            f"Maximizer: {MANY} people got another position",
            f"all {MANY} members have the new job title",
            lambda: all(self.merge(contact_id, "JOB") == "Lighthouse Keeper" for contact_id, _ in people),
            (MEMBER,) * MANY,
        )

    def married(self) -> Edit:
        contact_id, key = next(self.pairs)
        who = self.name(key)
        self.maximizer.edit(key, {"LastName": "Quillfeather"})
        return Edit(
            f"Maximizer: {who} took the last name Quillfeather",
            "the member has it too",
            lambda: self.merge(contact_id, "LNAME") == "Quillfeather",
            (MEMBER,),
        )

    def phone(self) -> Edit:
        contact_id, key = next(self.pairs)
        self.maximizer.edit(key, {"Phone2": "+1 (604) 555.0177"})
        return Edit(
            f"Maximizer: {self.name(key)} has the mobile number +1 (604) 555.0177",
            "the member has it as 604-555-0177, the way its phone field wants it; Maximizer keeps what was typed",
            lambda: (
                self.merge(contact_id, "MOBILE") == "604-555-0177"
                and self.maximizer.entry(key)["Phone2"] == "+1 (604) 555.0177"
            ),
            (MEMBER,),
        )

    def crm_groups(self) -> Edit:
        contact_id, key = next(self.pairs)
        wanted = ["Special Offers"] if self.udf(key, OPT_IN) != ["Special Offers"] else ["Events"]
        self.maximizer.edit(key, {OPT_IN: wanted})
        return Edit(
            f"Maximizer: {self.name(key)} now wants {wanted[0]} only",
            "the member is in that interest group, and out of the others",
            lambda: (
                [n for n in ("Newsletter", "Product News", "Events", "Special Offers") if self.ticked(contact_id, n)]
                == wanted
            ),
            (MEMBER,),
        )

    def crm_address(self) -> Edit:
        contact_id, key = next(self.pairs)
        address = "moved.house@lanternpost.test"
        self.maximizer.edit(key, {"Email1": address})
        return Edit(
            f"Maximizer: {self.name(key)} has another e-mail address",
            "the same member was renamed, not a second one made, and the entry carries its new id",
            lambda: (
                self.member(contact_id)["email_address"] == address
                and self.udf(key, MARKER) == self.member(contact_id)["unique_email_id"]
            ),
            (MEMBER, ENTRY),
        )

    def new_customer(self) -> Edit:
        address = "tamsin.lockwood@lanternpost.test"
        key = self.maximizer.add_person("Tamsin", "Lockwood", address, udfs={FLAG: "Yes", REGION: "West"})
        return Edit(
            "Maximizer: a new customer, Tamsin Lockwood, was entered with the flag Sync with MailChimp = Yes",
            "she is a subscribed member; her entry says so",
            lambda: (
                self.by_email(address)["status"] == "subscribed"
                and self.by_email(address)["merge_fields"]["REGION"] == "West"
                and self.udf(key, MARKER) == self.by_email(address)["unique_email_id"]
                and self.udf(key, STATUS) == "subscribed"
            ),
            (NEW_MEMBER, ENTRY),
        )

    def refused(self) -> Edit:
        key = self.maximizer.add_person("Mal", "Formed", "mal.formed@example.com", udfs={FLAG: "Yes"})
        return Edit(
            "Maximizer: somebody was flagged whose address Mailchimp does not take",
            "Mailchimp refused; the record waits in quarantine with the reason, everything else went on",
            lambda: self.in_quarantine(key),
            (REFUSED,),
        )

    # --- edits in Mailchimp ------------------------------------------------------------------------------------------

    def points(self) -> Edit:
        contact_id, key = next(self.pairs)
        self.mailchimp.edit(contact_id, {"POINTS": 7250})
        return Edit(
            f"Mailchimp: {self.name(key)} has 7,250 loyalty points",
            "the user-defined field in Maximizer has them too",
            lambda: float(self.udf(key, POINTS)) == 7250,
            (ENTRY,),
        )

    def own_group(self) -> Edit:
        contact_id, key = next(p for p in self.pairs if not self.ticked(p[0], "Events"))
        self.mailchimp.edit(contact_id, interests={"Events": True})
        return Edit(
            f"Mailchimp: {self.name(key)} ticked the interest Events",
            "the multi-value field in Maximizer has it, beside what was chosen there before",
            lambda: "Events" in self.udf(key, OPT_IN),
            (ENTRY,),
        )

    def first_name(self) -> Edit:
        contact_id, key = next(self.pairs)
        kept = self.maximizer.entry(key)["FirstName"]
        self.mailchimp.edit(contact_id, {"FNAME": "Zed"})
        return Edit(
            f"Mailchimp: {self.name(key)} typed the first name Zed into a form",
            f"Maximizer still says {kept}: what a form says never overwrites names, phones or addresses there",
            lambda: self.maximizer.entry(key)["FirstName"] == kept and self.merge(contact_id, "FNAME") == "Zed",
        )

    def own_address(self) -> Edit:
        contact_id, key = next(self.pairs)
        old, new = str(self.maximizer.entry(key)["Email1"]), "second.life@lanternpost.test"
        self.mailchimp.change_email(contact_id, new)
        return Edit(
            f"Mailchimp: {self.name(key)} subscribed under another address instead",
            "the new address has an entry of its own; the old entry keeps its address, and a member again",
            lambda: (
                [row["udfs"][MARKER] for row in self.entries(new)] == [self.member(contact_id)["unique_email_id"]]
                and self.maximizer.entry(key)["Email1"] == old
                and self.by_email(old)["status"] == "subscribed"
                and self.udf(key, MARKER) == self.by_email(old)["unique_email_id"]
            ),
            # Its MailChimp ID belongs to the address, so the old entry carries that of its new member already.
            (NEW_ENTRY, MEMBER, NEW_MEMBER),
        )

    def unsubscribed(self) -> Edit:
        contact_id, key = next(self.pairs)
        self.mailchimp.unsubscribe(contact_id, "Too many e-mails")
        return Edit(
            f"Mailchimp: {self.name(key)} unsubscribed",
            "Maximizer shows the status unsubscribed; nobody is ever subscribed again by the synchronisation",
            lambda: self.udf(key, STATUS) == "unsubscribed" and self.member(contact_id)["status"] == "unsubscribed",
            (ENTRY,),
        )

    def archived(self) -> Edit:
        contact_id, key = next(self.pairs)
        self.mailchimp.archive(contact_id)
        self.maximizer.edit(key, {"Position": "Retired"})
        return Edit(
            f"Both: {self.name(key)} was archived in Mailchimp, and somebody edited the entry afterwards",
            "the entry stays, its flag is No; the member stays archived",
            lambda: self.udf(key, FLAG) == "No" and self.member(contact_id)["status"] == "archived",
            (ENTRY,),
        )

    def new_subscriber(self) -> Edit:
        address = "orrin@lanternpost.test"
        contact_id = self.mailchimp.subscribe(self.list_id, address, {"FNAME": "Orrin", "POINTS": 10})
        return Edit(
            "Mailchimp: somebody new subscribed and gave no last name",
            "an Individual with the address in place of the last name that Maximizer demands; LNAME stays empty",
            lambda: (
                [(row["LastName"], row["udfs"][FLAG]) for row in self.entries(address)] == [(address, "Yes")]
                and self.merge(contact_id, "LNAME") == ""
            ),
            (NEW_ENTRY, MEMBER),
        )

    # --- edits on both sides -----------------------------------------------------------------------------------------

    def both_fields(self) -> Edit:
        contact_id, key = next(self.pairs)
        self.maximizer.edit(key, {"Position": "Bookbinder"})
        self.mailchimp.edit(contact_id, {"POINTS": 12})
        return Edit(
            f"Both: {self.name(key)} got a position in Maximizer and loyalty points in Mailchimp",
            "both edits survive on both sides",
            lambda: self.merge(contact_id, "JOB") == "Bookbinder" and float(self.udf(key, POINTS)) == 12,
            (MEMBER, ENTRY),
        )

    def same_field(self) -> Edit:
        contact_id, key = next(p for p in self.pairs if self.udf(p[1], REGION) not in ("North", "South"))
        self.maximizer.edit(key, {REGION: "North"})
        self.mailchimp.edit(contact_id, {"REGION": "South"})
        return Edit(
            f"Both: the region of {self.name(key)} became North in Maximizer and South in Mailchimp: a conflict",
            "Maximizer wins, as the settings say; South is kept in the change log",
            lambda: (
                self.merge(contact_id, "REGION") == "North"
                and self.udf(key, REGION) == "North"
                and "South" in self.overwritten(contact_id, "REGION")
            ),
            (MEMBER,),
        )

    def deleted(self) -> Edit:
        contact_id, key = next(self.pairs)
        who, address = self.name(key), str(self.maximizer.entry(key)["Email1"])
        self.maximizer.remove(key)
        self.mailchimp.edit(contact_id, {"POINTS": 99})
        return Edit(
            f"Both: {who} was deleted in Maximizer; later the member earned points in Mailchimp",
            "the member is still subscribed, so the entry is there again, with the points",
            lambda: (
                [float(row["udfs"][POINTS]) for row in self.entries(address)] == [99]
                and self.member(contact_id)["status"] == "subscribed"
            ),
            (NEW_ENTRY, MEMBER),
        )
