"""How many of the rendered rooms are for training, validation and test."""

from __future__ import annotations


def rooms(images: int, validation: float, test: float) -> tuple[int, int, int]:
    """The images for training, validation and test; `validation` is a part of those that are not for the test."""
    for_test = round(images * test)
    for_validation = round((images - for_test) * validation)
    return images - for_test - for_validation, for_validation, for_test
