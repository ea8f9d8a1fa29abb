"""Commands that stand in texts for people: each can be pasted as it stands, and works on the connection that is meant.

A text names a command as ``maxchimp sync --yes``, and a variable as ``MAXCHIMP_MAXIMIZER_TOKEN``. Where it leaves us,
``here`` adds the connection at work, so that no message has to think of it: every error does this for itself, and so
does everything that the command line says.
"""

from __future__ import annotations

import re
import shlex

from domain.facts import connection_at_work

# The commands that work on one connection, with those of a group; a test holds that this is what there is.
COMMANDS: dict[str, tuple[str, ...]] = {
    "backfill": (),
    "check": (),
    "explain": (),
    "fields": (),
    "lists": (),
    "map": ("add", "list", "modify", "remove"),
    "plan": (),
    "quarantine": ("list", "release"),
    "report": (),
    "runs": ("show",),
    "settings": ("set", "show"),
    "setup": (),
    "sync": (),
    "web": (),
}
# These work on all connections, on one that they name themselves, or on none.
WITHOUT = frozenset({"connections", "demo", "deploy", "sandbox", "serve", "store"})
_WORDS = "|".join(rf"{name} (?:{'|'.join(group)})|{name}" if group else name for name, group in COMMANDS.items())
_TOLD = r"(?!(?:(?!maxchimp )[^,;:\n])*?--(?:connection|help)\b)"  # not one that names its connection already
_COMMAND = re.compile(rf"(?<![^\s(`])maxchimp (?:{_WORDS})(?![\w-]){_TOLD}")
# Those of which a connection may have its own; where a place is named, the variable that stands there is meant.
_VARIABLE = re.compile(r"\bMAXCHIMP_(?=(?:MAILCHIMP|MAXIMIZER)_(?!_))(?!\w+ \((?:the environment|\.env))")


def here(text: str) -> str:
    """The text, every command and variable in it those of the connection at work, where alone they would not be."""
    name = connection_at_work()
    if not name:
        return text
    text = _VARIABLE.sub(prefix(name), text)
    return _COMMAND.sub(lambda found: f"{found[0]} --connection {shlex.quote(name)}", text)


def prefix(connection: str) -> str:
    """What the names of a connection's own variables begin with."""
    return f"MAXCHIMP_{connection.upper().replace('-', '_')}__"


def typed(*words: object) -> str:
    r"""``maxchimp`` and these words as a shell takes them: ``maxchimp map add JOB 'Sales\Job title'``."""
    return " ".join(["maxchimp", *(shlex.quote(str(word)) for word in words)])


def released(remedy: str, number: int) -> str:
    """What to do about a record in quarantine, with the command that releases it: its number is known only there."""
    return here(remedy.replace("release it", f"release it ({typed('quarantine', 'release', number)})"))
