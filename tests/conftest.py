"""What holds for all tests."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# Workers that test beside each other take one core each. torch and numpy read this when they are loaded, which is later.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No example has a deadline, and none is drawn too slowly: a busy machine would miss it. Continuous integration judges a change by the same examples
# each time; at one's desk every run looks at new ones.
slow = [HealthCheck.too_slow]
settings.register_profile("desk", deadline=None, suppress_health_check=slow)
settings.register_profile("integration", derandomize=True, deadline=None, print_blob=True, suppress_health_check=slow)
settings.load_profile("integration" if os.environ.get("CI") else "desk")
