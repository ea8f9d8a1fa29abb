"""Resources of merge fields and of groups (Mailchimp fact sheet sections 9 and 10)."""

from dataclasses import replace
from typing import Any

from sandbox.mailchimp import problems, schema
from sandbox.mailchimp.account import Account
from sandbox.mailchimp.api_members import audience_of
from sandbox.mailchimp.asking import Ask, page
from sandbox.mailchimp.audience import Audience, Category, Interest
from sandbox.mailchimp.members import link_objects
from sandbox.mailchimp.merge_fields import DEFAULT_OPTIONS, MAX_TAG, TYPES, MergeField

GROUP_TYPES = ("checkboxes", "dropdown", "radio", "hidden")
CHOICES_REFUSED = "This resource has not yet implemented array assignment for options.choices"

_FIELD_KEYS: dict[str, type] = {
    "name": str,
    "tag": str,
    "required": bool,
    "public": bool,
    "default_value": str,
    "help_text": str,
    "display_order": int,
    "options": dict,
}


# -- merge fields ---------------------------------------------------------------------------------------------------


def list_fields(account: Account, ask: Ask) -> dict[str, Any]:
    audience = audience_of(account, ask)
    rows = sorted(audience.fields.values(), key=lambda known: known.display_order)
    kind = ask.choice("type", TYPES)
    rows = [known for known in rows if kind in ("", known.type)]
    rows = [known for known in rows if not ask.text("required") or known.required == ask.flag("required")]
    return {
        "merge_fields": [field_document(account, audience, known) for known in page(rows, ask)],
        "list_id": audience.id,
        "total_items": len(rows),
        "merge_field_limit": audience.merge_field_limit,
        "_links": link_objects(account.root, f"/lists/{audience.id}/merge-fields", [("self", "GET")]),
    }


def field_document(account: Account, audience: Audience, known: MergeField) -> dict[str, Any]:
    path = f"/lists/{audience.id}/merge-fields/{known.merge_id}"
    shown = {key: getattr(known, key) for key in ("merge_id", "tag", "name", "type", "required", "default_value")}
    return shown | {
        "public": known.public,
        "display_order": known.display_order,
        "options": known.options,
        "help_text": known.help_text,
        "list_id": audience.id,
        "_links": link_objects(account.root, path, [("self", "GET"), ("update", "PATCH"), ("delete", "DELETE")]),
    }


def add_field(account: Account, ask: Ask) -> dict[str, Any]:
    audience = audience_of(account, ask)
    body = _typed(ask.body(), _FIELD_KEYS | {"type": str})
    schema.require(body, "name", "type")
    if body["type"] not in TYPES:
        message = f"Value must be one of: {', '.join(TYPES)} (not {body['type']})"
        raise problems.schema([("type", message)])
    if len(audience.fields) >= audience.merge_field_limit:
        raise problems.invalid(f"This audience is limited to {audience.merge_field_limit} merge fields.")  # (assumed)
    values = {key: body[key] for key in (*_FIELD_KEYS, "type") if key in body}
    values["tag"] = _free_tag(audience, body.get("tag") or f"MMERGE{audience.next_merge_id}")
    values["options"] = DEFAULT_OPTIONS.get(body["type"], {}) | body.get("options", {})
    if body["type"] in ("radio", "dropdown") and not values["options"].get("choices"):
        raise problems.schema([("options.choices", "This value should not be blank.")])
    known = account.define_field(audience, **values)
    return field_document(account, audience, known) | {"merge_field_limit": audience.merge_field_limit}


def get_field(account: Account, ask: Ask) -> dict[str, Any]:
    audience = audience_of(account, ask)
    return field_document(account, audience, _field(audience, ask))


def patch_field(account: Account, ask: Ask) -> dict[str, Any]:
    """The type stays; `options.choices` cannot be set (for years refused by the product)."""
    audience = audience_of(account, ask)
    known = _field(audience, ask)
    body = _typed(ask.body(), _FIELD_KEYS)
    values = {key: body[key] for key in _FIELD_KEYS if key in body}
    if "choices" in values.get("options", {}) and not account.choices_patchable:
        raise problems.invalid(CHOICES_REFUSED)
    if "options" in values:
        values["options"] = known.options | values["options"]
    if values.get("tag", known.tag).upper() != known.tag:
        values["tag"] = _free_tag(audience, values["tag"])
    else:
        values.pop("tag", None)
    audience.fields[known.merge_id] = replace(known, **values)
    return field_document(account, audience, audience.fields[known.merge_id])


def _field(audience: Audience, ask: Ask) -> MergeField:
    text = ask.path["merge_id"]
    known = audience.fields.get(int(text)) if text.isascii() and text.isdigit() else None
    if known is None:
        raise problems.not_found()
    return known


def _free_tag(audience: Audience, tag: str) -> str:
    tag = tag.upper()
    if not tag or len(tag) > MAX_TAG or not tag.replace("_", "").isalnum() or not tag.isascii():
        raise problems.schema([("tag", f"A tag has at most {MAX_TAG} letters and digits")])
    if tag == "EMAIL" or audience.field_by_tag(tag):
        raise problems.invalid(f'A Merge Field with the tag "{tag}" already exists for this list.')
    return tag


def _typed(body: dict[str, Any], kinds: dict[str, type]) -> dict[str, Any]:
    """Raises Problem for values of another JSON type."""
    names = {str: "string", bool: "boolean", int: "integer", dict: "object"}
    wrong = [
        (key, schema.describe(names[kind], body[key]))
        for key, kind in kinds.items()
        if key in body and (not isinstance(body[key], kind) or (kind is int and isinstance(body[key], bool)))
    ]
    if wrong:
        raise problems.schema(wrong)
    return body


# -- groups ---------------------------------------------------------------------------------------------------------


def list_categories(account: Account, ask: Ask) -> dict[str, Any]:
    audience = audience_of(account, ask)
    rows = [known for known in audience.categories.values() if ask.text("type") in ("", known.type)]
    return {
        "list_id": audience.id,
        "categories": [category_document(account, audience, known) for known in page(rows, ask)],
        "total_items": len(rows),
        "_links": link_objects(account.root, f"/lists/{audience.id}/interest-categories", [("self", "GET")]),
    }


def category_document(account: Account, audience: Audience, known: Category) -> dict[str, Any]:
    path = f"/lists/{audience.id}/interest-categories/{known.id}"
    return {
        "list_id": audience.id,
        "id": known.id,
        "title": known.title,
        "display_order": known.display_order,
        "type": known.type,
        "_links": link_objects(account.root, path, [("self", "GET"), ("update", "PATCH")]),
    }


def add_category(account: Account, ask: Ask) -> dict[str, Any]:
    audience = audience_of(account, ask)
    body = _group_body(ask)
    schema.require(body, "title", "type")
    _free_name(body["title"], (known.title for known in audience.categories.values()))
    order = body.get("display_order", len(audience.categories))
    known = Category(account.hex_id(10), body["title"], body["type"], order)
    audience.categories[known.id] = known
    return category_document(account, audience, known)


def get_category(account: Account, ask: Ask) -> dict[str, Any]:
    audience = audience_of(account, ask)
    return category_document(account, audience, _category(audience, ask))


def patch_category(account: Account, ask: Ask) -> dict[str, Any]:
    audience = audience_of(account, ask)
    known, body = _category(audience, ask), _group_body(ask)
    others = (other.title for other in audience.categories.values() if other is not known)
    _free_name(body.get("title", known.title), others)
    for key in ("title", "type", "display_order"):
        setattr(known, key, body.get(key, getattr(known, key)))
    return category_document(account, audience, known)


def _group_body(ask: Ask) -> dict[str, Any]:
    body = _typed(ask.body(), {"title": str, "name": str, "type": str, "display_order": int})
    if body.get("type", "radio") not in GROUP_TYPES:
        raise problems.schema([("type", f"Value must be one of: {', '.join(GROUP_TYPES)} (not {body['type']})")])
    return body


def _category(audience: Audience, ask: Ask) -> Category:
    known = audience.categories.get(ask.path["category_id"])
    if known is None:
        raise problems.not_found()
    return known


def list_interests(account: Account, ask: Ask) -> dict[str, Any]:
    audience = audience_of(account, ask)
    category = _category(audience, ask)
    rows = audience.options_of(category.id)
    path = f"/lists/{audience.id}/interest-categories/{category.id}/interests"
    return {
        "interests": [interest_document(account, audience, known) for known in page(rows, ask)],
        "list_id": audience.id,
        "category_id": category.id,
        "total_items": len(rows),
        "_links": link_objects(account.root, path, [("self", "GET")]),
    }


def interest_document(account: Account, audience: Audience, known: Interest) -> dict[str, Any]:
    path = f"/lists/{audience.id}/interest-categories/{known.category_id}/interests/{known.id}"
    return {
        "category_id": known.category_id,
        "list_id": audience.id,
        "id": known.id,
        "name": known.name,
        "subscriber_count": str(audience.interested[known.id]),
        "display_order": known.display_order,
        "_links": link_objects(account.root, path, [("self", "GET"), ("update", "PATCH")]),
    }


def add_interest(account: Account, ask: Ask) -> dict[str, Any]:
    audience = audience_of(account, ask)
    category, body = _category(audience, ask), _group_body(ask)
    schema.require(body, "name")
    options = audience.options_of(category.id)
    _free_name(body["name"], (known.name for known in options))
    order = body.get("display_order", len(options) + 1)
    known = Interest(account.hex_id(10), body["name"], category.id, order)
    audience.interests[known.id] = known
    return interest_document(account, audience, known)


def get_interest(account: Account, ask: Ask) -> dict[str, Any]:
    audience = audience_of(account, ask)
    return interest_document(account, audience, _interest(audience, ask))


def patch_interest(account: Account, ask: Ask) -> dict[str, Any]:
    """A renamed interest keeps its id."""
    audience = audience_of(account, ask)
    known, body = _interest(audience, ask), _group_body(ask)
    others = (other.name for other in audience.options_of(known.category_id) if other is not known)
    _free_name(body.get("name", known.name), others)
    for key in ("name", "display_order"):
        setattr(known, key, body.get(key, getattr(known, key)))
    return interest_document(account, audience, known)


def _interest(audience: Audience, ask: Ask) -> Interest:
    known = audience.interests.get(ask.path["interest_id"])
    if known is None or known.category_id != _category(audience, ask).id:
        raise problems.not_found()
    return known


def _free_name(name: str, taken: Any) -> None:
    if not name:
        raise problems.schema([("name", "This value should not be blank.")])
    if name.casefold() in {other.casefold() for other in taken}:
        raise problems.invalid(f'Cannot add "{name}" because it already exists on the list.')
