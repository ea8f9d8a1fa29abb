"""Look-ups between frames of up to millions of rows: positions of keys, membership, alignment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pandas.api.extensions import take


def positions(wanted: pd.Series, keys: pd.Series) -> np.ndarray:
    """Position of each wanted key among ``keys`` (unique), -1 where it is not there; int64."""
    found = pc.index_in(pa.array(wanted, pa.string()), value_set=pa.array(keys, pa.string()))
    return np.asarray(found.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False))


def among(keys: pd.Series, wanted: Iterable[str]) -> pd.Series:
    """Whether each key is one of ``wanted``. For texts ``isin`` costs many times that: it takes them one by one."""
    known = wanted if isinstance(wanted, pd.Series) else list(wanted)
    found = pc.is_in(pa.array(keys, pa.string()), value_set=pa.array(known, pa.string(), from_pandas=True))
    return pd.Series(found.to_numpy(zero_copy_only=False), index=keys.index)


def aligned(frame: pd.DataFrame, key: str, wanted: pd.Series, columns: Sequence[str]) -> pd.DataFrame:
    """The ``columns`` of ``frame`` in the order of ``wanted`` keys, RangeIndex; a key that is not there gives NA.

    Frames that are in that order already are not copied.
    """
    place = positions(wanted, frame[key])
    if len(place) == len(frame) and np.array_equal(place, np.arange(len(place))):
        return frame[list(columns)].reset_index(drop=True)
    taken = {name: take(frame[name].array, place, allow_fill=True) for name in columns}
    return pd.DataFrame(taken, index=range(len(place)))


def joined_texts(groups: pd.Series, texts: Sequence[str]) -> pd.Series:
    """The texts of each group with commas between them, in their order; index: the groups, object dtype."""
    table = pa.table({"group": pa.array(groups, pa.string()), "text": pa.array(texts, pa.string())})
    lists = table.group_by("group", use_threads=False).aggregate([("text", "list")])
    joined = pc.binary_join(lists["text_list"], ",")
    return pd.Series(joined.to_pylist(), index=lists["group"].to_pylist(), dtype="object")
