"""A Python that has what ``find`` and ``read`` need, and no Airflow."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from importlib.metadata import distribution
from pathlib import Path

PACKAGES = ("boto3", "pandas", "pyarrow")


def make(folder: Path) -> Path:
    """A virtual environment with those packages, and what they need, out of this one.

    :param folder: where there is none yet
    :return: its Python
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    paths = {"base": str(folder), "platbase": str(folder)}
    target = Path(sysconfig.get_path("purelib", vars=paths))
    for name in sorted(_needed(set(), *PACKAGES)):
        tops = {file.parts[0] for file in distribution(name).files or () if file.parts[0] != ".."}
        for top in tops - {"__pycache__"}:
            source = Path(distribution(name).locate_file(top))
            if source.exists():
                (target / top).symlink_to(source)
    return folder / "bin/python"


def _needed(known: set[str], *names: str) -> set[str]:
    from packaging.requirements import Requirement

    for name in names:
        if name not in known:
            known.add(name)
            needs = map(Requirement, distribution(name).requires or ())
            _needed(
                known,
                *(need.name for need in needs if not need.marker or need.marker.evaluate({"extra": ""})),
            )
    return known
