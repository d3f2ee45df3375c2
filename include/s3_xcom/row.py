"""The row: the metadata database's content for an XCom, parsed once.

It is the JSON of a small value, a reference to an object in S3, or foreign: written by Airflow's backend
before this one was switched on.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from include.s3_xcom.errors import BadReferenceError
from include.s3_xcom.reference import RESERVED, Reference, is_reference, parse_reference


@dataclass(frozen=True)
class Row:
    """A row with its JSON.

    :param text: the JSON
    :param parsed: the JSON, parsed
    """

    text: bytes
    parsed: Any

    @property
    def is_reference(self) -> bool:
        """Return whether it refers to an object, in this version of the format or another."""
        return is_reference(self.parsed)

    @property
    def is_foreign(self) -> bool:
        """Return whether Airflow's backend wrote it. This one writes no arrays, only objects with its key."""
        return isinstance(self.parsed, list) or (
            isinstance(self.parsed, dict) and RESERVED not in self.parsed
        )

    @property
    def reference(self) -> Reference | None:
        """Reference that is not yet checked; None if the row holds the value itself.

        :raises BadReferenceError: if it is malformed or of a newer version
        """
        return parse_reference(self.parsed) if self.is_reference else None

    @property
    def known_reference(self) -> Reference | None:
        """Reference that is not yet checked; None if there is none, or none that can be read."""
        try:
            return self.reference
        except BadReferenceError:
            return None

    @property
    def object_key(self) -> str | None:
        """Key of the object it refers to, whatever the version of the reference; None if it has none."""
        key = self.parsed.get("key") if self.is_reference else None
        return key if isinstance(key, str) else None


_DIGITS, _DECIMALS = 15, 3
"""Digits in all, and after the point, that each database keeps of a number."""


def is_kept_number(value: float) -> bool:
    """Return whether each database's JSON keeps a finite number as it is, its type included.

    Postgres has no exponents and no -0.0. SQLite makes integers of whole numbers, and computes others as
    ``digits / 10**decimals`` in 80 bits, which may round to another 64-bit float from 4 decimals on.
    https://www.sqlite.org/datatype3.html#type_affinity
    """
    whole, _, decimals = repr(abs(value)).partition(".")
    is_short = len(decimals) <= _DECIMALS and len(whole) + len(decimals) <= _DIGITS
    return is_short and "e" not in decimals and not value.is_integer()


def parse_row(text: bytes) -> Row | None:
    """Parse the database's content; return None if it is no JSON, such as a pickle of Airflow's backend."""
    try:
        return Row(text, json.loads(text))
    except (ValueError, RecursionError, TypeError):
        return None


def reference_in(text: bytes) -> Reference | None:
    """Return the reference in a row; None if there is none, or none that can be read."""
    row = parse_row(text)
    return None if row is None else row.known_reference
