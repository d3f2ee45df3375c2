"""Airflow's configuration: section ``[s3_xcom]``, and what ``[core]`` says about pickles and classes."""

from __future__ import annotations

import re
from typing import Any

from include.s3_xcom.errors import SettingError
from include.s3_xcom.settings import COMPRESSIONS, ENCRYPTIONS, SECTION, Settings


def load_settings() -> Settings:
    """Read the settings.

    :raises SettingError: if no bucket is set, a setting makes no sense, or this Python has no Airflow
    """
    bucket = _text("bucket", "")
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
        prefix=_text("prefix").strip("/"),
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
    """Whether ``[core] enable_xcom_pickling`` is on."""
    return _conf().getboolean("core", "enable_xcom_pickling", fallback=False)


def is_admitted(name: str) -> bool:
    """Whether ``[core] allowed_deserialization_classes`` lets a class be rebuilt.

    By Airflow 2.5's rule: one of the regular expressions there matches the start of the name.

    :param name: its full name, such as ``package.module.Class``
    """
    patterns = _conf().get("core", "allowed_deserialization_classes", fallback="").split()
    return any(re.match(pattern, name) for pattern in patterns)


def _conf() -> Any:
    try:
        from airflow.configuration import conf
    except ImportError as error:
        raise SettingError(
            f"This Python cannot read XComs in S3: it has no Airflow ({error}), which holds the settings and "
            "the connection. Use a Python with apache-airflow and the amazon provider, or pass the data "
            "itself instead of a File or a lazy sequence."
        ) from None
    return conf


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
