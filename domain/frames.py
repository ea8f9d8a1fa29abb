"""Look-ups between frames of up to millions of rows: positions of keys, membership, alignment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pandas.api.extensions import take


def positions(wanted: pd.Series, keys: pd.Series) -> np.ndarray:
    """Position of each wanted key among ``keys`` (unique), -1 where it is not there; int64."""
    found = pc.index_in(pa.array(wanted, pa.string()), value_set=pa.array(keys, pa.string()))
    return np.asarray(found.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False))


def among(keys: pd.Series, wanted: pd.Series) -> pd.Series:
    """Whether each key is one of ``wanted``; several times faster than ``isin`` for texts."""
    found = pc.is_in(pa.array(keys, pa.string()), value_set=pa.array(wanted, pa.string()))
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
