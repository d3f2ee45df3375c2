"""Values of pandas, as one release pushes them and another pulls them. As a program, with a release's Python:

python -m tests.helpers.other_pandas      writes tests/fixtures/pandas-<release>.zip
"""

from __future__ import annotations

import io
import json
import zipfile
import zoneinfo
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from include.s3_xcom import codecs

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
RELEASE = ".".join(pd.__version__.split(".")[:2])
NANOSECONDS = {"unit": "ns"} if RELEASE >= "2.0" else {}
ROME = zoneinfo.ZoneInfo("Europe/Rome")
HOUR, MONTH = ("h", "ME") if RELEASE >= "2.2" else ("H", "M")


def _labelled(values: Any, label: Any = "c") -> pd.DataFrame:
    """Labels of objects, whatever the release would make of them."""
    return pd.DataFrame({0: values}).set_axis(pd.Index([label], dtype=object), axis="columns")


MAKERS: dict[str, Callable[[], Any]] = {
    "numbers and texts": lambda: _labelled(pd.Series([1, "a", None, 2.5], dtype=object)),
    "texts as objects": lambda: _labelled(pd.Series(["a", None, "c"], dtype=object)),
    "string": lambda: _labelled(pd.array(["a", None], dtype="string[python]")),
    "string in Arrow": lambda: _labelled(pd.array(["a", None], dtype="string[pyarrow]")),
    "str": lambda: _labelled(pd.array(["a", None], dtype=pd.StringDtype("pyarrow", na_value=np.nan))),
    "Int64, boolean": lambda: _labelled(pd.array([1, None], dtype="Int64")),
    "float": lambda: _labelled(np.array([1.5, np.nan])),
    "nanoseconds": lambda: _labelled(np.array(["2024-01-01T00:00:00.000000001", "NaT"], dtype="M8[ns]")),
    "microseconds": lambda: _exactly(np.array(["2024-01-01", "NaT"], dtype="M8[us]")),
    "seconds of time": lambda: _exactly(np.array([1, 2], dtype="m8[s]")),
    "zone": lambda: _labelled(pd.date_range("2024-01-01", periods=2, tz=ROME, **NANOSECONDS)),
    "category of objects": lambda: _labelled(
        pd.Categorical.from_codes([0, -1, 1], categories=pd.Index(["x", "y"], dtype=object))
    ),
    "period by the hour": lambda: _labelled(pd.period_range("2024-01-01", periods=3, freq=HOUR)),
    "period by the quarter": lambda: _labelled(pd.period_range("2024", periods=3, freq="Q-DEC")),
    "interval": lambda: _labelled(pd.IntervalIndex.from_arrays([0, 1], [1, 2])),
    "sparse": lambda: _labelled(pd.arrays.SparseArray([0.0, 1.0], fill_value=0.0)),
    "index by the hour": lambda: _index(
        pd.Series(0, pd.date_range("2024", periods=3, freq=f"2{HOUR}")).index
    ),
    "index by the month": lambda: _index(MONTH),
    "index by the week": lambda: _index("W-SUN"),
    "Period": lambda: [pd.Period("2024-01-01 10:00", freq=HOUR), pd.Period("2024-01", freq="M")],
    "Timestamp": lambda: pd.Timestamp(1704067200000000001),
    "missing": lambda: [pd.NaT, pd.NA],
}
"""By name. Each says its dtypes, so that all releases make the same, or cannot make it."""


def _exactly(values: np.ndarray) -> pd.DataFrame:
    frame = _labelled(values)
    if frame.iloc[:, 0].dtype != values.dtype:
        raise TypeError("this pandas has no such dtype")
    return frame


def _index(freq: str) -> pd.DataFrame:
    index = pd.date_range("2024", periods=3, freq=freq, **NANOSECONDS)
    return _labelled(np.zeros(len(index))).set_axis(index, axis="index")


def make(name: str) -> Any | None:
    """A value; None where this pandas cannot make it."""
    try:
        return MAKERS[name]()
    except (TypeError, ValueError):
        return None


def labelled_by_default() -> pd.DataFrame:
    """A frame as people make it, whose labels are objects before pandas 3."""
    return pd.DataFrame({"a": [1], "b": [2.5]})


def write(path: Path) -> None:
    """Each value that this pandas can make, encoded."""
    values = {name: make(name) for name in MAKERS} | {"labels": labelled_by_default()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in values.items():
            if value is not None:
                encoded = codecs.encode(value)
                archive.writestr(f"{name}.json", json.dumps(encoded.codec))
                archive.writestr(name, bytes(encoded.body))


def read(path: Path) -> dict[str, tuple[str, bytes]]:
    """The codec and the bytes of each value, by name."""
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        names = [name for name in archive.namelist() if not name.endswith(".json")]
        return {name: (json.loads(archive.read(f"{name}.json")), archive.read(name)) for name in names}


if __name__ == "__main__":
    write(FIXTURES / f"pandas-{RELEASE}.zip")
