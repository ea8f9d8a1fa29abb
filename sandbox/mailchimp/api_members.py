"""Resources of members: listing, single members, tags, activity, search."""

from typing import Any

from sandbox.mailchimp import problems, schema
from sandbox.mailchimp.account import Account
from sandbox.mailchimp.activity import activity_feed, activity_rows
from sandbox.mailchimp.asking import Ask, page
from sandbox.mailchimp.audience import VISIBLE, Audience
from sandbox.mailchimp.members import STATUSES, UNSUBSCRIBED, Member, document, link_objects
from sandbox.mailchimp.writes import Writer

SORTS = ("timestamp_opt", "timestamp_signup", "last_changed")
MAX_FOUND = 30


def audience_of(account: Account, ask: Ask) -> Audience:
    """Raises Problem."""
    audience = account.audiences.get(ask.path["list_id"])
    if audience is None:
        raise problems.not_found()
    return audience


def member_of(audience: Audience, ask: Ask) -> Member:
    """Raises Problem."""
    member = audience.find(ask.path["member"])
    if member is None:
        raise problems.not_found()
    return member


def list_members(account: Account, ask: Ask) -> dict[str, Any]:
    """Without `status` everyone but the archived. The order without `sort_field` is not documented: here too it is the
    key that moves, so that a client that relies on it notices.
    """
    audience = audience_of(account, ask)
    rows, total = _page(audience, ask)
    links, view = ask.wants("members", "_links"), audience.view()
    root = f"{account.root}/lists/{audience.id}"
    return {
        "members": [document(member, view, links) for member in rows],
        "list_id": audience.id,
        "total_items": total,
        "_links": link_objects(root, "/members", [("self", "GET"), ("create", "POST")]),
    }


def _page(audience: Audience, ask: Ask) -> tuple[list[Member], int]:
    """One page and the number of all rows that pass the filters."""
    status = ask.choice("status", STATUSES)
    sort = ask.choice("sort_field", SORTS)
    downward = ask.choice("sort_dir", ("ASC", "DESC"), "ASC") == "DESC"
    order = audience.orders[status or VISIBLE]
    if ask.text("unique_email_id"):
        order = order.only(audience.key_of(ask.text("unique_email_id")))
    keys = order.keys
    low, high = order.between(ask.moment("since_last_changed"), ask.moment("before_last_changed"))
    tests = _tests(audience, ask, status)
    offset, count = ask.span()
    if not tests and sort in ("", "last_changed"):
        if downward:
            chosen = keys[max(low, high - offset - count) : max(low, high - offset)][::-1]
        else:
            chosen = keys[low + offset : min(high, low + offset + count)]
        return [audience.people[web_id] for _, web_id in chosen], high - low
    rows = [audience.people[web_id] for _, web_id in keys[low:high]]
    rows = [member for member in rows if all(test(member) for test in tests)]
    if sort in ("timestamp_opt", "timestamp_signup"):
        rows.sort(key=lambda member: str(getattr(member, sort)))
    if downward:
        rows.reverse()
    return rows[offset : offset + count], len(rows)


def _tests(audience: Audience, ask: Ask, status: str) -> list[Any]:
    """The filters that need a look at each member."""
    tests: list[Any] = []
    email_type = ask.text("email_type")
    if email_type:
        tests.append(lambda member: member.email_type == email_type)
    if ask.flag("vip_only"):
        tests.append(lambda member: member.vip)
    since, before = ask.moment("since_timestamp_opt"), ask.moment("before_timestamp_opt")
    if since is not None:
        tests.append(lambda member: bool(member.timestamp_opt) and _second(member.timestamp_opt) > since)
    if before is not None:
        tests.append(lambda member: bool(member.timestamp_opt) and _second(member.timestamp_opt) < before)
    left = ask.moment("unsubscribed_since")
    if left is not None:
        if status != UNSUBSCRIBED:
            raise problems.invalid("The unsubscribed_since filter needs the status unsubscribed.")
        tests.append(lambda member: member.last_changed > left)
    return tests + _interest_tests(audience, ask)


def _interest_tests(audience: Audience, ask: Ask) -> list[Any]:
    parts = [ask.text(name) for name in ("interest_category_id", "interest_ids", "interest_match")]
    if not any(parts):
        return []
    category, ids = parts[0], frozenset(filter(None, parts[1].split(",")))
    match = ask.choice("interest_match", ("any", "all", "none"))
    if not all(parts) or category not in audience.categories:
        raise problems.invalid("interest_category_id, interest_ids and interest_match belong together.")
    for interest_id in ids - set(audience.interests):
        raise problems.unknown_interest(interest_id)
    if match == "all":
        return [lambda member: ids <= member.interests]
    return [lambda member: bool(ids & member.interests) == (match == "any")]


def _second(iso_time: str) -> float:
    return schema.moment(iso_time, "timestamp_opt")


def add_member(account: Account, ask: Ask) -> dict[str, Any]:
    writer = _writer(account, ask)
    return _shown(writer, writer.post(ask.body()))


def get_member(account: Account, ask: Ask) -> dict[str, Any]:
    audience = audience_of(account, ask)
    return document(member_of(audience, ask), audience.view())


def put_member(account: Account, ask: Ask) -> dict[str, Any]:
    writer = _writer(account, ask)
    return _shown(writer, writer.put(ask.path["member"], ask.body()))


def patch_member(account: Account, ask: Ask) -> dict[str, Any]:
    writer = _writer(account, ask)
    return _shown(writer, writer.patch(ask.path["member"], ask.body()))


def archive_member(account: Account, ask: Ask) -> None:
    _writer(account, ask).archive(ask.path["member"])


def delete_permanently(account: Account, ask: Ask) -> None:
    audience = audience_of(account, ask)
    account.erase(audience, member_of(audience, ask), "api")


def _writer(account: Account, ask: Ask) -> Writer:
    return Writer(account, audience_of(account, ask), ask.flag("skip_merge_validation"))


def _shown(writer: Writer, member: Member) -> dict[str, Any]:
    return document(member, writer.audience.view())


def get_tags(account: Account, ask: Ask) -> dict[str, Any]:
    audience = audience_of(account, ask)
    member = member_of(audience, ask)
    rows = [{"id": tag, "name": audience.tags[tag], "date_added": added} for tag, added in member.tags]
    return {"tags": page(rows, ask), "total_items": len(rows), "_links": []}


def post_tags(account: Account, ask: Ask) -> None:
    audience = audience_of(account, ask)
    member = member_of(audience, ask)
    body = ask.body()
    schema.require(body, "tags")
    tags = body["tags"]
    if not isinstance(tags, list) or not all(_is_tag(tag) for tag in tags):
        raise problems.schema([("tags", schema.describe("array", tags))])
    Writer(account, audience).tag(member, tags)


def _is_tag(tag: Any) -> bool:
    return isinstance(tag, dict) and bool(tag.get("name")) and tag.get("status") in ("active", "inactive")


def get_activity(account: Account, ask: Ask) -> dict[str, Any]:
    audience = audience_of(account, ask)
    member = member_of(audience, ask)
    wanted = {action for text in ask.request.query.get("action", []) for action in text.split(",") if action}
    rows = [row for row in activity_rows(member, account.started) if not wanted or row["action"] in wanted]
    return {
        "activity": rows[:50],
        "email_id": member.id,
        "contact_id": member.contact_id,
        "list_id": audience.id,
        "total_items": len(rows),
        "_links": [],
    }


def get_activity_feed(account: Account, ask: Ask) -> dict[str, Any]:
    audience = audience_of(account, ask)
    member = member_of(audience, ask)
    wanted = {kind for text in ask.request.query.get("activity_filters", []) for kind in text.split(",") if kind}
    rows = [row for row in activity_feed(member, account.started) if not wanted or row["activity_type"] in wanted]
    return {"activity": page(rows, ask), "email_id": member.id, "list_id": audience.id, "_links": []}


def search_members(account: Account, ask: Ask) -> dict[str, Any]:
    """Exact: by address; full: anything in the address or the name. At most 30 of each."""
    query = ask.text("query").casefold()
    if not query:
        raise problems.schema([("query", "This value should not be blank.")])
    if ask.text("list_id") and ask.text("list_id") not in account.audiences:
        raise problems.not_found()
    exact: list[dict[str, Any]] = []
    full: list[dict[str, Any]] = []
    for audience in account.audiences.values():
        if ask.text("list_id") not in ("", audience.id):
            continue
        view = audience.view()
        holder = audience.find(query) if "@" in query else None
        exact += [document(holder, view)] if holder else []
        for member in audience.people.values():
            names = (str(member.merge.get(name, "")) for name in view.name_fields)
            if len(full) < MAX_FOUND and query in " ".join((member.email, *names)).casefold():
                full.append(document(member, view))
    return {
        "exact_matches": {"members": exact, "total_items": len(exact)},
        "full_search": {"members": full, "total_items": len(full)},
        "_links": [],
    }
