"""Names and features that differ between releases of pandas: one pulls what another pushed.

pandas 2.0 brought units other than nanoseconds, 2.2 renamed frequencies, 2.3 brought the dtype ``str``, which
is the default of texts in 3.0. https://pandas.pydata.org/docs/whatsnew/v2.2.0.html
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from include.s3_xcom.errors import FormatError

_RELEASE = tuple(map(int, pd.__version__.split(".")[:2]))

HAS_STR = _RELEASE >= (2, 3)

_OF_PERIODS = {"H": "h", "T": "min", "S": "s", "L": "ms", "U": "us", "N": "ns", "A": "Y"}
_OF_MOMENTS = {
    **_OF_PERIODS, "M": "ME", "BM": "BME", "SM": "SME", "CBM": "CBME", "Q": "QE", "BQ": "BQE",
    "A": "YE", "BA": "BYE", "AS": "YS", "BAS": "BYS", "BH": "bh", "CBH": "cbh",
}  # fmt: skip
"""Names of frequencies up to pandas 2.1, and the names since."""


def freq_of_moments(name: str) -> str:
    """Return this release's name of an index's frequency, from the name in any release."""
    return _renamed(name, _OF_MOMENTS)


def freq_of_periods(name: str) -> str:
    """Return this release's name of a period's frequency, from the name in any release."""
    return _renamed(name, _OF_PERIODS)


def _renamed(name: str, names: dict[str, str]) -> str:
    """Replace the word between number and anchor, as in ``2Q-DEC``."""
    names = names if _RELEASE >= (2, 2) else {new: old for old, new in names.items()}
    found = re.fullmatch(r"(-?\d*)([A-Za-z]+)(-.*)?", name)
    if found is None:
        return name
    number, word, anchor = found.groups(default="")
    return f"{number}{names.get(word, word)}{anchor}"


def describe_dtype(dtype: Any) -> dict[str, str]:
    """Describe an extension dtype for :func:`find_dtype`."""
    if not isinstance(dtype, pd.StringDtype):
        return {"dtype": dtype.name}
    if HAS_STR and dtype.na_value is not pd.NA:
        return {"dtype": "str", "storage": dtype.storage}
    return {"dtype": f"string[{dtype.storage}]"}


def find_dtype(spec: dict[str, Any]) -> Any:
    """Return the dtype in this release.

    :raises FormatError: if this release has no such dtype
    """
    name = spec["dtype"]
    if name in ("str", "string[pyarrow_numpy]") and HAS_STR:
        return pd.StringDtype(spec.get("storage", "pyarrow"), na_value=np.nan)
    if name == "str":
        raise _too_old("str", "2.3")
    period = re.fullmatch(r"[Pp]eriod\[(.+)\]", name)
    return pd.api.types.pandas_dtype(name if period is None else f"period[{freq_of_periods(period[1])}]")


def require_unit(unit: str) -> None:
    """Refuse a unit of time that pandas cannot keep: before 2.0 it converts all to nanoseconds.

    :raises FormatError: if it cannot
    """
    if unit != "ns" and _RELEASE < (2, 0):
        raise _too_old(f"datetime64[{unit}]", "2.0")


def _too_old(dtype: str, release: str) -> FormatError:
    return FormatError(
        f"It has the dtype {dtype}, which pandas has since {release}; this machine has pandas "
        f"{pd.__version__}. Upgrade pandas here, or convert with astype() before the push."
    )
