"""Mixin for a backend in Airflow 3."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from include.s3_xcom.on_airflow import local_files
from include.s3_xcom.on_airflow.releases.airflow_3 import Setting, setting


class Line:
    """The methods for this line of releases, which a backend has before those of Airflow's class."""

    @classmethod
    def set(cls, key: str, value: Any, *, _mapped_length: int | None = None, **ids: Any) -> None:
        """Push a value by a request to the API server.

        :param _mapped_length: number of tasks that will be expanded over it
        :raises ValueError: if the key is empty, as Airflow's class does, but before anything is uploaded
        """
        _require(key)
        with _setting(_mapped_length is not None):
            super().set(key, value, _mapped_length=_mapped_length, **ids)

    @classmethod
    async def aset(cls, key: str, value: Any, *, _mapped_length: int | None = None, **ids: Any) -> None:
        """Push a value as :meth:`set` does."""
        _require(key)
        with _setting(_mapped_length is not None):
            await super().aset(key, value, _mapped_length=_mapped_length, **ids)


def _require(key: str | None) -> None:
    if not key:
        raise ValueError(f"XCom key must be a non-empty string. Received: {key!r}")


@contextlib.contextmanager
def _setting(is_expanded: bool) -> Iterator[None]:
    current = Setting(is_expanded)
    token = setting.set(current)
    try:
        yield
    finally:
        setting.reset(token)
    local_files.delete(current.files)
