"""What every command is given, and how a function becomes a command with the options that all of them share."""

from __future__ import annotations

import functools
import inspect
import logging
import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app import show
from app.doors import guarded
from app.progress import Progress
from domain.errors import Misconfigured
from domain.facts import about
from domain.quoting import quoted
from flows import logs

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from flows.services import Services
    from flows.settings import Settings
    from storage.connections import Connection

Body = Callable[..., int | None]
MOST = 2**63 - 1  # a number of a row: more than that no database holds
log = logging.getLogger("maxchimp.app")


class Call:
    """One call of a command. What it needs is opened at the first use and closed at the end."""

    def __init__(self, name: str | None, as_json: bool, verbose: bool) -> None:
        self.name, self.as_json, self.verbose = name, as_json, verbose
        self.progress = Progress()

    def close(self) -> None:
        self.progress.close()
        if "engine" in self.__dict__:
            self.engine.dispose()

    @cached_property
    def settings(self) -> Settings:
        """The connection's settings; from here on there is a log. Misconfigured when they cannot be read."""
        from flows import outside
        from flows.settings import load_settings

        found = load_settings(self.name)
        form, name = found.log_format, found.connection
        logs.open_log(found.home_dir, found.secrets(), verbose=self.verbose, form=form, connection=name)
        if told := outside.open_to_others():
            log.warning("%s", told)
            print(f"maxchimp: {told}; run: chmod 600 {outside.FILE}", file=sys.stderr)
        return found

    @cached_property
    def engine(self) -> Engine:
        """Our own store, of whatever version."""
        from storage.engine import open_store

        return open_store(self.settings.database_url.get_secret_value())

    @cached_property
    def store(self) -> Engine:
        """Our own store, of this version; Misconfigured says how to get there."""
        from storage.schema import require_current

        require_current(self.engine)
        return self.engine

    @property
    def connection(self) -> Connection:
        """The connection as it is stored now; Misconfigured when it was never set up."""
        from storage import connections

        found = connections.find(self.store, self.settings.connection)
        if found is None:
            name = self.settings.connection
            raise Misconfigured(f"the connection {quoted(name)} has not been set up", remedy="run: maxchimp setup")
        return found

    @cached_property
    def services(self) -> Services:
        """Clients of both sides as this connection speaks to them."""
        from flows.services import connect

        return connect(self.settings, self.connection.dialect)

    @property
    def interactive(self) -> bool:
        """Whether a person can be asked."""
        return sys.stdin.isatty() and sys.stderr.isatty() and not self.as_json

    def confirmed(self, question: str, word: str = "yes") -> bool:
        """Whether a person at the terminal typed ``word``."""
        self.progress.close()
        typed: str = typer.prompt(f"{show.clean(question)}\nType {word} to go on", err=True)
        return typed.strip().lower() == word

    def answer(self, document: Any, tell: Callable[[], None]) -> None:
        """The result of a command: JSON, or what ``tell`` prints for people."""
        self.progress.close()
        if self.as_json:
            show.document(document)
        else:
            tell()


_COMMON = {
    "name": Annotated[str | None, typer.Option("--connection", metavar="NAME", help="Connection to work on.")],
    "as_json": Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")],
    "verbose": Annotated[bool, typer.Option("--verbose", help="Log to stderr too, with every request.")],
}
_DEFAULTS: dict[str, Any] = {"name": None, "as_json": False, "verbose": False}


def command(group: typer.Typer, name: str) -> Callable[[Body], Body]:
    """Register ``body(call, ...)`` under a name, with the common options; it may answer an exit code."""

    def register(body: Body) -> Body:
        group.command(name)(_door(body))
        return body

    return register


def alone(group: typer.Typer) -> Callable[[Body], Body]:
    """Register ``body(call)`` as what a group does when no command of it is named."""

    def register(body: Body) -> Body:
        door = _door(body)

        def unless_named(ctx: typer.Context, **given: Any) -> int | None:
            if ctx.invoked_subcommand is None:
                return door(**given)
            if given != _DEFAULTS:
                raise typer.BadParameter(f"options stand behind {ctx.invoked_subcommand}")
            return None

        unless_named.__doc__ = body.__doc__
        ctx = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
        signature = inspect.signature(door)
        made: Any = unless_named
        made.__signature__ = signature.replace(parameters=[ctx, *signature.parameters.values()])
        group.callback(invoke_without_command=True)(made)
        return body

    return register


def _door(body: Body) -> Callable[..., int]:
    """The body behind its door: what it needs is closed again, and every error is told."""
    signature = inspect.signature(body, eval_str=True)
    own = [p.replace(kind=p.KEYWORD_ONLY) for p in list(signature.parameters.values())[1:]]
    common = [
        inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=_DEFAULTS[key], annotation=kind)
        for key, kind in _COMMON.items()
    ]

    @functools.wraps(body)
    def door(**given: Any) -> int:
        call = Call(*(given.pop(key) for key in _COMMON))

        def told() -> int | None:
            try:
                return body(call, **given)
            finally:
                call.close()

        # Without a name it is the usual connection, which no command in a message has to name.
        with about(connection=call.name) if call.name else nullcontext():
            return guarded(told, as_json=call.as_json)

    made: Any = door
    made.__signature__ = signature.replace(parameters=[*own, *common])
    return door
