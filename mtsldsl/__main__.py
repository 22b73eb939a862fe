"""`python -m mtsldsl` is `mtsldsl`."""

from mtsldsl.cli import run

run()
