"""The ways in, and the following tab (R46-R48): at most three requests before the first paint, the rest after it."""

from __future__ import annotations

from typing import Any

from app.web import words
from app.web.site import Answer, Door, Given, Site, audit, begun
from app.web.timeline import timeline
from app.web.tokens import LIFE, Pass, as_setup
from domain.errors import Blocked, BrokenAnswer, Misconfigured, NotFound, Refused
from flows import activity, explain, foresee, person
from flows.describe import address_book, find_flag, find_marker
from flows.upcoming import next_run
from flows.viewer import NO_RIGHT, Launch, administers, confirm

PAGE = 10  # campaigns at once
SCHEDULE_KEPT = 20.0  # seconds for which the scheduler is not asked again
NAMES_KEPT = 600.0  # seconds for which names of groups are remembered
STATUS = {
    "subscribed": "Subscribed",
    "unsubscribed": "Unsubscribed",
    "cleaned": "Cleaned (the address bounced)",
    "pending": "Pending (has not confirmed yet)",
    "transactional": "Transactional (never signed up)",
    "archived": "Archived",
}


class Launched(Given):
    """``key`` and ``token`` as Maximizer handed them over; or a Maximizer user and password."""

    key: str
    token: str = ""
    user: str = ""
    password: str = ""


class Code(Given):
    code: str


class Nothing(Given):
    pass


class More(Given):
    page: int = 1


# ---------------------------------------------------------------- ways in


def launch(site: Site, who: Pass, given: Launched) -> Answer:
    """A one-time code for somebody whom Maximizer confirms, and who may read this entry (hazard S6)."""
    known = site.connection
    viewer = confirm(
        site.settings,
        Launch(given.key, given.token, given.user, given.password),
        address_book=known.address_book if known else "",
        dialect=known.dialect if known else "",
        opener=site.opener,
    )
    made = begun(site, "tab", viewer.user, viewer.entry_id, admin=viewer.administrator)
    audit(made, "opened the tab")
    return {"code": site.tokens.code(made)}


def session(site: Site, who: Pass, given: Code) -> Answer:
    """The token that a code stands for; the code is used up."""
    return _session(site, site.tokens.exchange(given.code, site.name, site.born))


def renew(site: Site, who: Pass, given: Nothing) -> Answer:
    """Somebody still works on set-up."""
    return _session(site, who, site.tokens.renewed(who))


def open_setup(site: Site, who: Pass, given: Nothing) -> Answer:
    """From the tab to set-up, for administrators only: asked anew, for the list of them may have changed."""
    if not (who.administrator and administers(site.settings, who.user)):
        raise Blocked(
            "no-administrator",
            "set-up is for administrators",
            remedy="ask one of them; they are named by MAXCHIMP_ADMINISTRATORS",
        )
    audit(who, "opened set-up")
    return _session(site, as_setup(who))


def _session(site: Site, found: Pass, token: str = "") -> dict[str, Any]:
    return {
        "token": token or site.tokens.token(found),
        "purpose": found.purpose,
        "user": found.user,
        "administrator": found.administrator,
        "life": LIFE,
        "connection": found.connection if found.purpose == "setup" else "",
    }


# ---------------------------------------------------------------- the tab


def show(site: Site, who: Pass, given: Nothing) -> Answer:
    """The first paint: entry and member, asked at the same time when they are linked."""
    connection = site.known
    if not connection.list_id:
        raise Misconfigured("no Mailchimp list is selected yet", remedy="an administrator selects one in Setup")
    found = _person(site, who.entry)
    if found.entry is None and found.link is None:
        raise Blocked("no-right", NO_RIGHT, remedy="check that the service user of maxchimp may read this entry")
    verdict = explain.why(found, connection)
    last = next((done for done in explain.history(site.engine, connection, found) if done.state == "done"), None)
    return words.render(
        "tab",
        person=_shown(found),
        member=_member(site, found),
        problem=found.member_problem,
        last_status=STATUS.get(str((found.link or {}).get("status")), ""),
        verdict=verdict,
        matched=explain.matched(found),
        last=last,
        findings=explain.remarks(found),
        administrator=who.administrator,
        list_name=connection.list_name,
    )


def _person(site: Site, entry_id: str) -> person.Person:
    """The person; Blocked with the reason when the entry cannot be read because a UDF of ours is gone (R48)."""
    connection = site.known
    try:
        if not (connection.flag_ref and connection.marker_ref):
            raise _no_udfs(site)
        found = person.by_entry(site.engine, connection, site.services, entry_id)
    except (Refused, BrokenAnswer) as error:
        if isinstance(error, NotFound):
            raise
        raise (_no_udfs(site) if _lacking(site) else error) from error
    if found.member_problem:
        site.forget()  # a client that failed too often sends nothing more
    return found


def _lacking(site: Site) -> list[str]:
    fields = address_book(site.services.maximizer, options_of=())
    both = (("Sync with MailChimp", find_flag(fields)), ("MailChimp ID", find_marker(fields)))
    return [name for name, found in both if found is None]


def _no_udfs(site: Site) -> Blocked:
    names = " and ".join(_lacking(site)) or "Sync with MailChimp"
    return Blocked(
        "udfs-missing",
        f"the required user-defined field {names} does not exist in this Address Book",
        remedy="an administrator opens Setup, then Connection, and chooses Create what is missing",
    )


def _shown(found: person.Person) -> dict[str, str]:
    """What the tab shows of an entry, and nothing else (hazard S32)."""
    names = [person.text_of(found.entry, name) for name in ("FirstName", "LastName")]
    return {
        "name": " ".join(part for part in names if part) or person.text_of(found.entry, "CompanyName"),
        "company": person.text_of(found.entry, "CompanyName"),
        "email": found.email1,
    }


def _member(site: Site, found: person.Person) -> dict[str, Any] | None:
    """What the tab shows of a member, and nothing else."""
    row = found.member
    if row is None:
        return None
    status = str(row.get("status") or "")
    return {
        "email": str(row.get("email_address") or ""),
        "rating": row.get("member_rating"),
        "status": status,
        "status_words": STATUS.get(status, status),
        "since": str(row.get("timestamp_opt") or ""),
        "signed_up": str(row.get("timestamp_signup") or ""),
        "source": str(row.get("source") or ""),
        "language": str(row.get("language") or ""),
        "changed": str(row.get("last_changed") or ""),
        "reason": str(row.get("unsubscribe_reason") or "") if status == "unsubscribed" else "",
        "vip": row.get("vip") is True,
        "url": _link(site, row),
    }


def _link(site: Site, row: dict[str, Any]) -> str:
    """The member's page in Mailchimp, built of the key's data centre and a number (hazard S9)."""
    web_id = row.get("web_id")
    if not isinstance(web_id, int) or isinstance(web_id, bool) or web_id < 1:
        return ""
    return f"https://{site.services.mailchimp.dc}.admin.mailchimp.com/lists/members/view?id={web_id}"


def upcoming(site: Site, who: Pass, given: Nothing) -> Answer:
    """When the next scheduled run is due: after the first paint, for the scheduler is asked."""
    known = site.known
    name = f"next run of {known.name}"
    found = site.remembered(name, SCHEDULE_KEPT, lambda: next_run(site.settings.home_dir, known.name))
    return words.render("next", found=found)


def more(site: Site, who: Pass, given: More) -> Answer:
    """Groups and campaign activity, after the first paint; ten campaigns at once."""
    connection, page = site.known, max(1, given.page)
    found = _person(site, who.entry)
    if found.member is None:
        return words.render("more_none", problem=found.member_problem)
    rows = site.services.mailchimp.activity(connection.list_id, str(found.member["id"]))
    listed = activity.campaigns(rows)
    pages = max(1, -(-len(listed) // PAGE))
    page = min(page, pages)
    return words.render(
        "more",
        groups=_groups(site, found.member) if page == 1 else None,
        campaigns=listed[(page - 1) * PAGE : page * PAGE],
        totals=activity.totals(listed),
        drawing=timeline(listed, site.now()) if page == 1 else None,
        page=page,
        pages=pages,
        whole=len(rows) < 1000,
    )


def _groups(site: Site, member: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """(group, chosen options): names are remembered for a while, choices are not."""
    connection, chosen = site.known, member.get("interests") or {}

    def read() -> list[tuple[str, list[tuple[str, str]]]]:
        mailchimp, list_id = site.services.mailchimp, connection.list_id
        return [
            (str(row["title"]), [(str(o["id"]), str(o["name"])) for o in mailchimp.options(list_id, str(row["id"]))])
            for row in mailchimp.groups(list_id)
        ]

    known = site.remembered(f"groups {connection.list_id}", NAMES_KEPT, read) if chosen else []
    return [(title, [name for key, name in options if chosen.get(key)]) for title, options in known]


def fields(site: Site, who: Pass, given: Nothing) -> Answer:
    """Field by field, and what the next run would do: as ``maxchimp explain`` tells it."""
    connection = site.known
    found = _person(site, who.entry)
    (told,) = foresee.told(site.engine, connection, site.services, [found], now=site.now)
    return words.render("fields", told=told)


DOORS: dict[str, Door] = {
    "/api/launch": Door(None, Launched, launch),
    "/api/session": Door(None, Code, session),
    "/api/renew": Door("setup", Nothing, renew),
    "/api/tab": Door("tab", Nothing, show),
    "/api/tab/more": Door("tab", More, more),
    "/api/tab/fields": Door("tab", Nothing, fields),
    "/api/tab/next": Door("tab", Nothing, upcoming),
    "/api/setup/next": Door("setup", Nothing, upcoming),
    "/api/setup/open": Door("tab", Nothing, open_setup),
}
