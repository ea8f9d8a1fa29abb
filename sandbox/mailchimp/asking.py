"""Reading a request: parameters, paging, and the choice of fields (Mailchimp fact sheet section 4)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.door import Request
from sandbox.mailchimp import problems, schema

DEFAULT_COUNT = 10
MAX_COUNT = 1000

Tree = dict[str, "Tree"]


@dataclass(frozen=True)
class Ask:
    """A request that reached its resource; `path` are the values of the path's parameters."""

    request: Request
    path: dict[str, str]

    def text(self, name: str) -> str:
        """The first value, or "" when absent."""
        return self.request.query.get(name, [""])[0]

    def flag(self, name: str) -> bool:
        return self.text(name).lower() in ("true", "1")

    def number(self, name: str, default: int) -> int:
        """Raises Problem for what is no number, or a negative one."""
        text = self.text(name)
        if not text:
            return default
        if not text.isascii() or not text.isdigit():
            raise problems.schema([(name, "Schema describes integer, string found instead")])
        return int(text)

    def choice(self, name: str, allowed: Sequence[str], default: str = "") -> str:
        """Raises Problem for anything but one of `allowed`."""
        value = self.text(name) or default
        if value and value not in allowed:
            raise problems.schema([(name, f"Value must be one of: {', '.join(allowed)} (not {value})")])
        return value

    def moment(self, name: str) -> float | None:
        text = self.text(name)
        return schema.moment(text, name) if text else None

    def span(self) -> tuple[int, int]:
        """(offset, count); a larger count is clamped to 1000."""
        return self.number("offset", 0), min(self.number("count", DEFAULT_COUNT), MAX_COUNT)

    def body(self) -> dict[str, Any]:
        """Raises Problem for what is not a JSON object."""
        try:
            body = json.loads(self.request.body, parse_constant=_refuse_constant)
        except ValueError:
            raise problems.not_json() from None
        if not isinstance(body, dict):
            raise problems.schema([("", schema.describe("object", body))])
        return body

    def selection(self) -> tuple[Tree | None, Tree]:
        """What to keep (None: everything) and what to leave out."""
        wanted = ",".join(self.request.query.get("fields", []))
        unwanted = ",".join(self.request.query.get("exclude_fields", []))
        return (_tree(wanted) if wanted else None), _tree(unwanted)

    def wants(self, collection: str, key: str) -> bool:
        """Whether rows of `collection` are asked for with this key: large parts need not be built in vain."""
        keep, leave = self.selection()
        if collection in leave and (not leave[collection] or leave[collection].get(key) == {}):
            return False
        if keep is None or keep.get(collection) == {}:
            return True
        return key in keep.get(collection, {})


def select(document: Any, ask: Ask) -> Any:
    """`fields` and `exclude_fields` in dot notation from the root; a path that leads nowhere is ignored."""
    keep, leave = ask.selection()
    if keep is not None:
        document = _keep(document, keep)
    return _leave(document, leave) if leave else document


def page(rows: Sequence[Any], ask: Ask) -> list[Any]:
    offset, count = ask.span()
    return list(rows[offset : offset + count])


def _tree(paths: str) -> Tree:
    """`a.b,a.c,d` as {a: {b: {}, c: {}}, d: {}}; an empty dictionary means everything below."""
    tree: Tree = {}
    whole: set[str] = set()
    for path in sorted((path.strip() for path in paths.split(",") if path.strip()), key=lambda path: path.count(".")):
        steps = path.split(".")
        if any(".".join(steps[: n + 1]) in whole for n in range(len(steps))):
            continue
        whole.add(path)
        node = tree
        for step in steps:
            node = node.setdefault(step, {})
    return tree


def _keep(node: Any, tree: Tree) -> Any:
    if isinstance(node, list):
        return [_keep(item, tree) for item in node]
    if not isinstance(node, dict):
        return node
    return {key: (_keep(value, tree[key]) if tree[key] else value) for key, value in node.items() if key in tree}


def _leave(node: Any, tree: Tree) -> Any:
    if isinstance(node, list):
        return [_leave(item, tree) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: (_leave(value, tree[key]) if key in tree else value)
        for key, value in node.items()
        if key not in tree or tree[key]
    }


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)
