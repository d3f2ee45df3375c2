"""A frame of columns of many kinds, each with something missing."""

from __future__ import annotations

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd

FRAME = pd.DataFrame(
    {
        "n": pd.array([1, None, 3], dtype="Int64"),
        "i": np.array([1, 2, 3], dtype="i4"),
        "x": [1.5, float("nan"), 2.0],
        "at": pd.to_datetime(["2024-10-27T02:30+02:00", None, "2024-10-27T02:30+01:00"], utc=True).tz_convert(
            "Europe/Rome"
        ),
        "took": pd.to_timedelta([1, None, 2], unit="s"),
        "price": [Decimal("1.10"), None, Decimal("NaN")],
        "day": [datetime.date(2024, 1, 1), None, datetime.date(2024, 1, 3)],
        "size": pd.Categorical(["S", None, "L"], ["S", "M", "L"]),
        "ok": pd.array([True, None, False], dtype="boolean"),
        "any": [{"a": (1,)}, float("nan"), pd.NaT],
    },
    index=pd.Index(["a", "b", "c"], name="id"),
)
