"""Write the table of releases in docs/upgrading.md: its rows are read from standard input."""

from __future__ import annotations

import datetime
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs/upgrading.md"
PLACE = re.compile(r"(?<=<!-- matrix -->\n).*?(?=<!-- end of the matrix -->)", re.S)


def main() -> None:
    git = ["git", "rev-parse", "--short=10", "HEAD"]
    commit = subprocess.check_output(git, cwd=PAGE.parent, text=True).strip()
    day = datetime.datetime.now(datetime.timezone.utc).strftime("%d %B %Y").lstrip("0")
    table = f"| release | tests |\n| --- | --- |\n{sys.stdin.read().strip()}\n"
    made = f"Made by `make test-matrix` on {day}, at commit {commit}.\n\n{table}\n"
    text, found = PLACE.subn(lambda _: made, PAGE.read_text())
    if found != 1:
        sys.exit(f"error: {PAGE} has no place for the table")
    PAGE.write_text(text)
    print(f"\n{table}")


if __name__ == "__main__":
    main()
