"""``script/kills [--database sqlite|postgresql] [--every N] [--twice] [--list] [SCENE ...]``: the kill loop, a table.

One row per scene and database, printed as soon as it is known; violations below the table, and then exit 1.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import signal
import sys
import time
from collections.abc import Iterator, Sequence

from loop import Loop, Tally
from scenes import SCENES, base
from shelves import Databases, Files, Shelf, postgresql

KINDS = ("before a commit", "before the send", "after the effect", "after the answer", "after the commit")


@contextlib.contextmanager
def shelf_of(database: str) -> Iterator[Shelf]:
    with contextlib.ExitStack() as stack:
        made: Shelf = Files() if database == "sqlite" else Databases(stack.enter_context(postgresql()))
        stack.callback(made.close)
        yield made


def row(tally: Tally) -> str:
    points = [tally.points[kind] for kind in KINDS]
    seconds = f"{tally.seconds:.0f}"
    cells = [tally.scene, tally.database, sum(points), *points, tally.remains, tally.again, seconds, len(tally.wrong)]
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="script/kills", description="Kill the engine at every write boundary.")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), action="append")
    parser.add_argument("--every", type=int, default=1, help="only every n-th kill point")
    parser.add_argument("--twice", action="store_true", help="kill the next process too, somewhere in its recovery")
    parser.add_argument("--list", action="store_true", help="name the scenes and stop")
    parser.add_argument("scene", nargs="*", help="a part of a scene's name; default: all")
    asked = parser.parse_args(words)
    chosen = [one for one in SCENES if not asked.scene or any(word in one.name for word in asked.scene)]
    if asked.list:
        print("\n".join(one.name for one in chosen))
        return 0
    logging.disable(logging.CRITICAL)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # nothing is left running, nothing lying about
    print(
        "| scene | database | kill points |",
        " | ".join(KINDS),
        "| different remains | killed again | seconds | violations |",
    )
    print("|---" * (len(KINDS) + 7) + "|", flush=True)
    tallies: list[Tally] = []
    begun = time.monotonic()
    for database in asked.database or ("sqlite", "postgresql"):
        with shelf_of(database) as shelf:
            ground = base(shelf)
            for scene in chosen:
                tallies.append(Loop(shelf, scene, ground, twice=asked.twice).run(asked.every))
                print(row(tallies[-1]), flush=True)
    wrong = [text for tally in tallies for text in tally.wrong]
    points = sum(sum(tally.points.values()) for tally in tallies)
    print(f"\n{points} kill points in {time.monotonic() - begun:.0f} s, {len(wrong)} violations")
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
