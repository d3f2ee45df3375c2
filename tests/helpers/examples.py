"""How many examples Hypothesis tries."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# `make test-properties` sets it; `make test` takes a short look.
EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "100"))


def examples(count: int) -> settings:
    return settings(
        max_examples=count,
        deadline=None,
        derandomize="PROPERTY_EXAMPLES" not in os.environ,  # the short look is the same for everybody
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
