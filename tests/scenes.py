"""The beginning of specs that learn from small rooms: their data, and tasks with an answer for each pixel."""

from __future__ import annotations

SEGMENT = """
task segment {
  target = classes(5)
  head   = conv2d(5, 1) | resize_as(image)
}
"""


def rooms(images: int, batch: int = 8) -> str:
    """So many rooms of 16 x 16 pixels, and the tasks `depth` and `edge`."""
    return f"""\
mtl 1

data scenes {{
  input  = image(3, 16, 16)
  images = {images}
  batch  = {batch}
}}

task depth {{
  target = values(1)
  head   = conv2d(1, 1) | resize_as(image)
}}

task edge {{
  target = binary(1)
  head   = conv2d(1, 1) | resize_as(image)
}}
"""
