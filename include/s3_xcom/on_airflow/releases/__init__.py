"""Differences between releases of Airflow: one package for each line of releases, with the same names.

``release`` is the package for this Airflow; :mod:`.airflow_2` describes the names. Importing them imports
nothing of Airflow, which imports the backend while it is itself being imported.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def _has_task_sdk() -> bool:
    """Return whether this Python has Airflow 3. find_spec("airflow.sdk") would import Airflow."""
    airflow = find_spec("airflow")
    return airflow is not None and any(
        Path(folder, "sdk").is_dir() for folder in airflow.submodule_search_locations or ()
    )


if _has_task_sdk():
    from include.s3_xcom.on_airflow.releases import airflow_3 as release
else:
    from include.s3_xcom.on_airflow.releases import airflow_2 as release

__all__ = ["Pushed", "release"]


@dataclass(frozen=True)
class Pushed:
    """A value that was pushed before Airflow writes its row.

    :param row: content for the column
    """

    row: Any
