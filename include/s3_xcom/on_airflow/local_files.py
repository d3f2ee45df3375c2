"""Files on this machine that were pushed, and are deleted once their rows are written."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

log = logging.getLogger(__name__)


def delete(paths: Iterable[Path]) -> None:
    """Delete files, and log one that cannot be deleted: its push is done."""
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s was pushed, and cannot be deleted here (%s).", path, error.strerror)
