"""Pickles: the last resort, and only where ``[core] enable_xcom_pickling`` is on."""

from __future__ import annotations

import pickle
from typing import Any

from include.s3_xcom.codecs.codec import Pulling
from include.s3_xcom.codecs.tagged_json.tags import type_name
from include.s3_xcom.errors import FormatError, UnsupportedValueError
from include.s3_xcom.interruptions import handled_within


def encode(value: Any) -> bytes:
    """Return a value as a pickle.

    :raises UnsupportedValueError: if it cannot be pickled
    """
    try:
        with handled_within():
            return pickle.dumps(value)
    except Exception as error:
        raise UnsupportedValueError(f"a {type_name(type(value))} cannot even be pickled ({error})") from None


def decode(body: bytes | memoryview, pulling: Pulling) -> Any:
    """Load a pickle, which can execute any code: the caller must have asked Airflow.

    :raises FormatError: if it cannot be unpickled
    """
    try:
        with handled_within():
            return pickle.loads(body)  # noqa: S301 - only with [core] enable_xcom_pickling
    except Exception as error:
        raise FormatError(f"The stored pickle cannot be read ({type(error).__name__}).") from error
