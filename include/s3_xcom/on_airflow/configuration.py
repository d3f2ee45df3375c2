"""Airflow's configuration: section ``[s3_xcom]``, and the settings of ``[core]`` about pickles and classes.

A Python without Airflow uses its environment instead, with variables of the same names as for Airflow:
``AIRFLOW__S3_XCOM__BUCKET`` and so on.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from include.s3_xcom.errors import BadReferenceError, SettingError
from include.s3_xcom.row import Row, parse_row
from include.s3_xcom.settings import COMPRESSIONS, ENCRYPTIONS, SECTION, Settings


def load_settings(**given: str) -> Settings:
    """Read the settings.

    :param given: settings to use instead, such as ``bucket``
    :raises SettingError: if no bucket is set, or a setting makes no sense
    """
    bucket = given.get("bucket") or _text("bucket", "")
    if not bucket:
        raise SettingError(
            "No bucket is set for XComs. Set AIRFLOW__S3_XCOM__BUCKET, or `bucket` in section "
            "[s3_xcom] of airflow.cfg, to the name of an S3 bucket."
        )
    sse, kms_key_id = _choice("sse", ENCRYPTIONS), _text("kms_key_id")
    if kms_key_id and not sse.startswith("aws:"):
        raise SettingError("[s3_xcom] kms_key_id is set. Set sse to aws:kms or aws:kms:dsse as well.")
    return Settings(
        bucket=bucket,
        prefix=given.get("prefix", _text("prefix").strip("/")),
        conn_id=_text("conn_id"),
        inline_max_bytes=_number("inline_max_bytes"),
        compression=_choice("compression", COMPRESSIONS),
        retention_days=_number("retention_days"),
        max_attempts=_number("max_attempts", least=1),
        connect_timeout=_number("connect_timeout", least=1),
        read_timeout=_number("read_timeout", least=1),
        transfer_connections=_number("transfer_connections", least=1),
        sse=sse,
        kms_key_id=kms_key_id,
    )


def may_pickle() -> bool:
    """Return whether ``[core] enable_xcom_pickling`` is on."""
    return _conf().getboolean("core", "enable_xcom_pickling", fallback=False)


def is_admitted(name: str) -> bool:
    """Return whether ``[core] allowed_deserialization_classes`` lets a class be rebuilt.

    :param name: its full name, such as ``package.module.Class``
    """
    if not _admits_classes.get():
        return False
    from include.s3_xcom.on_airflow.releases import release

    return release.is_admitted(name, _conf())


_admits_classes: ContextVar[bool] = ContextVar("admits_classes", default=True)


@contextlib.contextmanager
def without_classes() -> Iterator[None]:
    """Admit no class within the block: looking at a value must not load one."""
    token = _admits_classes.set(False)
    try:
        yield
    finally:
        _admits_classes.reset(token)


def parse_own(column: Any) -> Row | None:
    """Parse a row of this backend; return None if Airflow's backend wrote it before this one was switched on.

    :param column: content of the column in the metadata database
    :raises BadReferenceError: if it is no JSON, and pickles may not be read
    """
    from include.s3_xcom.on_airflow.releases import release

    row = parse_row(release.from_column(column))
    if row is None and not may_pickle():
        raise BadReferenceError(
            "The metadata database holds no JSON for this XCom, and [core] enable_xcom_pickling is off. "
            "Clear the task that pushed it, so that it runs again."
        )
    return None if row is None or row.is_foreign else row


def _conf() -> Any:
    try:
        from airflow.configuration import conf
    except ImportError:
        return _Environment()
    return conf


class _Environment:
    """A stand-in for Airflow's configuration in a Python without Airflow."""

    def get(self, section: str, name: str, *, fallback: str) -> str:
        return os.environ.get(f"AIRFLOW__{section}__{name}".upper(), fallback)

    def getboolean(self, section: str, name: str, *, fallback: bool) -> bool:
        return self.get(section, name, fallback=str(fallback)).strip().lower() in ("true", "t", "1")


def _text(name: str, fallback: str | None = None) -> str:
    default = getattr(Settings, name) if fallback is None else fallback
    return _conf().get(SECTION, name, fallback=str(default)).strip()


def _choice(name: str, choices: tuple[str, ...]) -> str:
    text = _text(name)
    for choice in choices:
        if text.lower() == choice.lower():
            return choice
    listed = ", ".join(choice or "nothing" for choice in choices)
    raise SettingError(f"[s3_xcom] {name} is {text!r:.40}. Set it to one of: {listed}.")


def _number(name: str, least: int = 0) -> int:
    text = _text(name)
    if not text.isdecimal() or int(text) < least:
        raise SettingError(f"[s3_xcom] {name} is {text!r:.40}. Set it to a whole number, {least} or more.")
    return int(text)
