"""``python -m include.s3_xcom``: see :mod:`include.s3_xcom.admin.command_line`."""

import sys

from include.s3_xcom.admin.command_line import main

if __name__ == "__main__":
    sys.exit(main())
