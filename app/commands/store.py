"""``store copy``: our own store into another database."""

from __future__ import annotations

from typing import Annotated

import typer

from app import show
from app.call import Call, command


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Our own store.", no_args_is_help=True)
    command(group, "copy")(store_copy)
    app.add_typer(group, name="store")


def store_copy(
    call: Call,
    url: Annotated[str, typer.Argument(metavar="URL", help="An empty database, such as postgresql://user@host/db.")],
) -> None:
    """Copy the whole store to an empty database.

    From SQLite to PostgreSQL or back. The source is only read. Leave the password out of URL: PGPASSWORD and
    ~/.pgpass are used.
    """
    from sqlalchemy import make_url

    from storage import copying
    from storage.engine import open_store

    source = call.store
    target = open_store(url)
    try:
        counts = copying.copy(source, target, progress=call.progress)
        shown = make_url(target.url).render_as_string(hide_password=True)
    finally:
        target.dispose()
    document = {"copied": counts, "rows": sum(counts.values()), "target": shown}
    call.answer(document, lambda: _tell(counts, shown))


def _tell(counts: dict[str, int], shown: str) -> None:
    show.table(["table", "rows"], [[name, number] for name, number in counts.items() if number])
    show.say(
        "",
        f"{sum(counts.values()):,} rows were copied and counted in {shown}.",
        "From now on use it: set MAXCHIMP_DATABASE_URL to that address. The old store was left as it is.",
    )
