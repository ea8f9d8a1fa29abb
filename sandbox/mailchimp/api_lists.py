"""Resources of the account and of lists; batch writing of members."""

from typing import Any

from sandbox.mailchimp import problems
from sandbox.mailchimp.account import Account
from sandbox.mailchimp.api_members import audience_of
from sandbox.mailchimp.asking import Ask, page
from sandbox.mailchimp.audience import Audience
from sandbox.mailchimp.members import batch_document, document, iso, link_objects, subscriber_hash
from sandbox.mailchimp.writes import Writer, batch

CONTACT = {
    "company": "Escona Invented Ltd.",
    "addr1": "1 Harbour Street",
    "addr2": "",
    "city": "Vancouver",
    "state": "BC",
    "zip": "V5K 0A1",
    "country": "CA",
}


def account_root(account: Account, ask: Ask) -> dict[str, Any]:
    return {
        "account_id": account.account_id,
        "login_id": account.account_id[::-1],
        "account_name": CONTACT["company"],
        "email": "office@escona.test",
        "first_name": "Olivia",
        "last_name": "Office",
        "username": "escona",
        "avatar_url": "",
        "role": "owner",
        "member_since": "2019-03-01T09:00:00+00:00",
        "first_payment": "",
        "pricing_plan_type": "monthly",
        "account_timezone": "America/Vancouver",
        "account_industry": "Business and Finance",
        "contact": CONTACT,
        "pro_enabled": False,
        "last_login": iso(account.started),
        "total_subscribers": sum(
            audience.stats(account.now(), account.stats_cached)["member_count"]
            for audience in account.audiences.values()
        ),
        "industry_stats": {"open_rate": 0.21, "bounce_rate": 0.01, "click_rate": 0.02},
        "_links": link_objects(account.root, "/", [("self", "GET")]),
    }


def ping(account: Account, ask: Ask) -> dict[str, Any]:
    return {"health_status": "Everything's Chimpy!"}


def list_lists(account: Account, ask: Ask) -> dict[str, Any]:
    since, before = ask.moment("since_date_created"), ask.moment("before_date_created")
    found = [
        audience
        for audience in account.audiences.values()
        if (since is None or audience.created > since) and (before is None or audience.created < before)
    ]
    if ask.text("email"):
        found = [audience for audience in found if audience.find(subscriber_hash(ask.text("email")))]
    if ask.choice("sort_field", ("date_created",)):
        downward = ask.choice("sort_dir", ("ASC", "DESC"), "ASC") == "DESC"
        found.sort(key=lambda audience: (audience.created, audience.web_id), reverse=downward)
    return {
        "lists": [list_document(account, audience, ask) for audience in page(found, ask)],
        "total_items": len(found),
        "constraints": {
            "may_create": True,
            "max_instances": 100,
            "current_total_instances": len(account.audiences),
        },
        "_links": link_objects(account.root, "/lists", [("self", "GET"), ("create", "POST")]),
    }


def get_list(account: Account, ask: Ask) -> dict[str, Any]:
    return list_document(account, audience_of(account, ask), ask)


def list_document(account: Account, audience: Audience, ask: Ask) -> dict[str, Any]:
    """`stats.total_contacts` only when asked for."""
    stats = audience.stats(account.now(), account.stats_cached)
    if not ask.flag("include_total_contacts"):
        stats = {key: value for key, value in stats.items() if key != "total_contacts"}
    contact = {"address1" if key == "addr1" else "address2" if key == "addr2" else key: CONTACT[key] for key in CONTACT}
    short = f"https://eepurl.test/{audience.id}"
    return {
        "id": audience.id,
        "web_id": audience.web_id,
        "name": audience.name,
        "contact": contact | {"phone": ""},
        "permission_reminder": "You signed up on our website.",
        "use_archive_bar": True,
        "campaign_defaults": {
            "from_name": "Escona",
            "from_email": "office@escona.test",
            "subject": "",
            "language": "en",
        },
        "notify_on_subscribe": "",
        "notify_on_unsubscribe": "",
        "date_created": iso(audience.created),
        "list_rating": 0,
        "email_type_option": False,
        "subscribe_url_short": short,
        "subscribe_url_long": f"{short}/subscribe",
        "beamer_address": f"{account.data_centre}-{audience.id}@inbound.escona.test",
        "visibility": "prv",
        "double_optin": audience.double_optin,
        "has_welcome": False,
        "marketing_permissions": audience.marketing_permissions,
        "modules": [],
        "stats": stats,
        "_links": link_objects(account.root, f"/lists/{audience.id}", [("self", "GET"), ("update", "PATCH")]),
    }


def post_list(account: Account, ask: Ask) -> dict[str, Any]:
    """The synchronous batch: up to 500 members, HTTP 200 also when rows fail."""
    audience = audience_of(account, ask)
    body = ask.body()
    if "members" not in body:
        raise problems.schema([("", "Required fields were not provided: members")])
    writer = Writer(account, audience, ask.flag("skip_merge_validation"))
    answer = batch(writer, body, ask.flag("skip_duplicate_check"))
    view = audience.view()
    for key in ("new_members", "updated_members"):
        answer[key] = [batch_document(document(member, view)) for member in answer[key]]
    return answer | {"_links": link_objects(account.root, f"/lists/{audience.id}", [("self", "POST")])}
