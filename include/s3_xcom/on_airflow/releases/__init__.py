"""What differs between releases of Airflow: a package for each line of releases, with the same names.

``release`` is the right one of them; :mod:`.airflow_2` describes the names. At their import they import
nothing of Airflow, which imports the backend while it is imported itself.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def _has_task_sdk() -> bool:
    """Whether this Python has Airflow 3. Not by find_spec("airflow.sdk"), which imports Airflow."""
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

    :param row: what the column is to hold
    """

    row: Any
