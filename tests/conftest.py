"""What holds for all tests."""

from __future__ import annotations

import os
import shutil
import tempfile

from hypothesis import HealthCheck, settings

from tests.laws import SOAKING

# Workers that test beside each other take one core each. torch and numpy read this when they are loaded, which is later.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# What is kept between processes is kept for this session of tests, and not among the user's own; workers have the first process's.
if "PYTEST_XDIST_WORKER" not in os.environ:
    CACHE = tempfile.mkdtemp(prefix="mtsldsl-tests-")
    os.environ["XDG_CACHE_HOME"] = CACHE
    os.environ.pop("MTSLDSL_NO_CACHE", None)


def pytest_unconfigure() -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        shutil.rmtree(CACHE, ignore_errors=True)


# No example has a deadline, and none is drawn too slowly: a busy machine would miss it. Continuous integration judges a change by the same examples
# each time; at one's desk every run looks at new ones. `make soak` names its own profile, by which tests/laws.py knows it.
slow = [HealthCheck.too_slow]
EXAMPLES = 8
settings.register_profile("desk", max_examples=EXAMPLES, deadline=None, suppress_health_check=slow)
settings.register_profile(
    "integration", max_examples=EXAMPLES, derandomize=True, deadline=None, print_blob=True, suppress_health_check=slow
)
settings.register_profile("soak", max_examples=SOAKING, deadline=None, print_blob=True, suppress_health_check=slow)
settings.load_profile("integration" if os.environ.get("CI") else "desk")
