"""Many histories over all cores, with what they met on their way: the program behind ``script/histories``."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

import pandas as pd
from history import Played, play
from steps import Script, script, shorter

KINDS = ("lost", "duplicated", "resubscribed", "removed", "unquiet", "rule", "crash")
WORDS = {
    "lost": "an edit lost",
    "duplicated": "somebody made twice",
    "resubscribed": "somebody subscribed again",
    "removed": "a false removal",
    "unquiet": "not quiet after two cycles",
    "rule": "another rule broken",
    "crash": "an error that is none of the project's",
}


def checked(made: Script, told: Callable[[str], None] = lambda line: None) -> Played:
    """Like ``play``; whatever else is raised is a violation of its own kind."""
    try:
        return play(made, told=told)
    except Exception:
        return Played(wrong={"crash": [traceback.format_exc()]})


@dataclass
class Tally:
    """What many histories came to. ``failed``: seed -> kinds of violation."""

    histories: int = 0
    cycles: int = 0
    overtaken: int = 0
    failed: dict[int, list[str]] = field(default_factory=dict)
    met: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def add(self, seed: int, played: Played) -> None:
        self.histories += 1
        self.cycles += played.cycles
        self.overtaken += played.overtaken
        self.met += played.met
        if played.wrong:
            self.failed[seed] = list(played.wrong)


def run(seeds: Iterable[int], workers: int) -> Iterator[tuple[int, Played]]:
    """(seed, what came of it) in the order of the seeds."""
    listed = list(seeds)
    if workers < 2 or len(listed) < 2:
        quietly()
        yield from ((seed, of_seed(seed)) for seed in listed)
        return
    with ProcessPoolExecutor(workers, initializer=quietly) as pool:
        yield from zip(listed, pool.map(of_seed, listed, chunksize=4), strict=True)


def of_seed(seed: int) -> Played:
    return checked(script(seed))


def quietly() -> None:
    """What the engine tells people is not for thousands of histories; what is loaded by now is never garbage.

    With a dozen rows texts as Python's objects are a fifth faster than Arrow's; a test holds both to the same trace.
    """
    logging.disable(logging.CRITICAL)
    pd.set_option("mode.string_storage", "python")
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def table(tally: Tally, seconds: float) -> str:
    lines = [
        f"{tally.histories} histories, {tally.cycles} cycles in {seconds:.0f} s: "
        f"{tally.histories / seconds:.2f} histories a second",
        *(f"  {sum(kind in kinds for kinds in tally.failed.values()):6} with {WORDS[kind]}" for kind in KINDS),
        f"  {tally.overtaken:6} edits overtaken between a last read and its write, or by a late effect (not promised)",
        "",
        "What was met, operation x misfortune:",
    ]
    for side in ("mailchimp", "maximizer", "store", "process"):
        rows = sorted({name for where, name, _ in tally.met if where == side})
        for name in rows:
            cells = sorted(
                (fault, n) for (where, other, fault), n in tally.met.items() if (where, other) == (side, name)
            )
            lines.append(f"  {side} {name}: " + ", ".join(f"{fault} {number}" for fault, number in cells))
    return "\n".join(lines)


def _tell_shorter(seed: int, kinds: set[str]) -> None:
    """Every line of the shortest history that fails as this seed does, and its script."""
    short = shorter(script(seed), lambda made: bool(kinds & set(checked(made).wrong)))
    told = checked(short, told=print)
    print(short, *(f"{kind}: {text}" for kind, texts in told.wrong.items() for text in texts), sep="\n", flush=True)


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="script/histories", description=__doc__)
    parser.add_argument("number", type=int, nargs="?", default=300, help="how many histories")
    parser.add_argument("--seed", type=int, default=1, help="the first seed; each history takes the next one")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--shorter", action="store_true", help="print the shortest script that fails like a failing seed"
    )
    asked = parser.parse_args(words)
    begun, tally = time.monotonic(), Tally()
    for seed, played in run(range(asked.seed, asked.seed + asked.number), asked.workers):
        tally.add(seed, played)
        if played.wrong:
            told = "\n".join(f"  {kind}: {text}" for kind, texts in played.wrong.items() for text in texts)
            print(f"seed {seed} failed; again: script/histories 1 --seed {seed}\n{told}", flush=True)
            if asked.shorter:
                _tell_shorter(seed, set(played.wrong))
        if tally.histories % 25 == 0:
            print(f"... {tally.histories} histories, {len(tally.failed)} failed", flush=True)
        if asked.number == 1:
            print(f"seed {seed}: trace {played.trace or 'not finished'}")
    print(table(tally, time.monotonic() - begun))
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
