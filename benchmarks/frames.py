"""Related frames to compare: one invented state perturbed twice, about 4 % of the pairs touched."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from domain.fields import FieldMapping, MailchimpField, MaximizerField


def peak_mib() -> float:
    """Greatest memory of this process so far (``ru_maxrss`` would also count the parent it was forked from)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return float("nan")


COLUMNS = [f"F{n:02d}" for n in range(12)]


def mappings() -> tuple[FieldMapping, ...]:
    """Twelve text fields on both sides."""
    return tuple(
        FieldMapping(tag, MailchimpField(tag, tag, tag, "text"), MaximizerField(tag, tag, "alphanumeric"))
        for tag in COLUMNS
    )


def frames(pairs: int, touched: float = 0.04, seed: int = 1) -> dict[str, pd.DataFrame]:
    """``links`` (contact_id, entry_id), ``member`` and ``entry`` (key and twelve columns, each in an order of its own),
    ``member_seen`` and ``entry_seen`` (contact_id or entry_id and twelve columns, in the order of the links).
    """
    rng = np.random.default_rng(seed)
    contact = pd.Series(np.char.add("c", np.arange(pairs).astype("U8")), dtype="str")
    entry = pd.Series(np.char.add("e", np.arange(pairs).astype("U8")), dtype="str")
    base = {}
    for n, name in enumerate(COLUMNS):
        values = rng.integers(0, pairs if n % 3 == 0 else 5000, pairs)
        base[name] = pd.Series(np.char.add(f"value {n} ", values.astype("U8")), dtype="str")
    state = pd.DataFrame(base)
    member, entry_now = state.copy(), state.copy()
    for frame, share in ((member, touched / 2), (entry_now, touched / 2)):
        rows = rng.choice(pairs, int(pairs * share), replace=False)
        for row_part, name in zip(np.array_split(rows, len(COLUMNS)), COLUMNS, strict=True):
            frame.loc[row_part, name] = "edited " + frame.loc[row_part, name]
    order_m, order_e = rng.permutation(pairs), rng.permutation(pairs)
    return {
        "links": pd.DataFrame({"contact_id": contact, "entry_id": entry}),
        "member": member.assign(contact_id=contact).iloc[order_m].reset_index(drop=True),
        "entry": entry_now.assign(entry_id=entry).iloc[order_e].reset_index(drop=True),
        "member_seen": state.assign(contact_id=contact),
        "entry_seen": state.assign(entry_id=entry),
    }
