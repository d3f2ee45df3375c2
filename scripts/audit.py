"""Look the locked packages up among the known vulnerabilities, and write the tables of docs/audit.md.

Exit code 1: there are some; 2: no advisories can be had here.
"""

from __future__ import annotations

import datetime
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/audit.md"
MARK = "<!-- what follows is written by make audit -->\n"
UV = shutil.which("uv") or ROOT / ".venv-uv/bin/uv"

KNOWN_BAD = "jinja2==2.10 --hash=sha256:74c935a1b8bb9a3947c50a54766a969d4846290e1e788ea44c1392163723c3bd"
"""An index without advisories answers that there are none, of anything."""


def main() -> int:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as known:
        known.write(KNOWN_BAD)
        known.flush()
        if not vulnerable(audit(Path(known.name))):
            print(
                "error: no advisories can be had here: even Jinja2 2.10 passes as faultless. To ask another "
                "source, set PIP_AUDIT_VULNERABILITY_SERVICE=osv and PIP_AUDIT_OSV_URL.",
                file=sys.stderr,
            )
            return 2
    found = {path.name: audit(path) for path in sorted((ROOT / "requirements").glob("*.txt"))}
    tables = render(found)
    PAGE.write_text(PAGE.read_text().partition(MARK)[0] + MARK + tables)
    print(tables)
    return int(any(vulnerable(packages) for packages in found.values()))


def audit(requirements: Path) -> list[dict]:
    """The packages of a locked file, each with its advisories."""
    command = [UV, "tool", "run", "--quiet", "--python", "3.11", "--with-requirements"]
    command += [ROOT / "requirements/audit.txt", "pip-audit", "--disable-pip", "--progress-spinner", "off"]
    command += ["--format", "json", "--requirement", requirements]
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, text=True, env=os.environ)
    if not done.stdout:
        sys.exit(f"error: pip-audit did not look {requirements} up (exit code {done.returncode}).")
    return json.loads(done.stdout)["dependencies"]


def vulnerable(packages: list[dict]) -> list[dict]:
    return [package for package in packages if package.get("vulns")]


def render(found: dict[str, list[dict]]) -> str:
    lines = [f"On {datetime.date.today():%d %B %Y}:", ""]
    lines += ["| file | packages | with advisories | advisories |", "| --- | ---: | ---: | ---: |"]
    for name, packages in found.items():
        bad = vulnerable(packages)
        count = sum(len(package["vulns"]) for package in bad)
        lines.append(f"| `{name}` | {len(packages)} | {len(bad)} | {count} |")
    lines += ["", "| package | in | advisories | each fixed in |", "| --- | --- | ---: | --- |"]
    for name, packages in found.items():
        for package in sorted(vulnerable(packages), key=lambda package: package["name"]):
            title = f"{package['name']} {package['version']}"
            lines.append(f"| {title} | `{name}` | {len(package['vulns'])} | {first_without(package)} |")
    return "\n".join(lines) + "\n"


def first_without(package: dict) -> str:
    """The first version that has none of the advisories."""
    fixes = [min(vuln["fix_versions"], key=_numbers) for vuln in package["vulns"] if vuln["fix_versions"]]
    is_fixed = len(fixes) == len(package["vulns"])
    return max(fixes, key=_numbers) if is_fixed else "no version yet"


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdigit()]


if __name__ == "__main__":
    sys.exit(main())
