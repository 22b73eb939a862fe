"""What holds for all tests."""

from __future__ import annotations

import os

from hypothesis import settings

# Continuous integration judges a change by the same examples each time; at one's desk every run looks at new ones.
settings.register_profile("integration", derandomize=True, deadline=None, print_blob=True)
if os.environ.get("CI"):
    settings.load_profile("integration")
