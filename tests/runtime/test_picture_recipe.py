"""The Python of a model card makes of a picture what training made of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mtsldsl.editing import loads
from mtsldsl.runtime.data.pictures import as_tensor, fit_of, picture
from mtsldsl.runtime.run.picture_recipe import picture_recipe

TEXT = """\
mtl 1

data folder {{
  input  = photo({channels}, {high}, {wide})
  path   = "pictures"
  images = "{{kind}}/*.png"
  resize = {resize}
  crop   = {crop}
}}

task kind {{
  target = classes(2)
  head   = adaptive_avg_pool2d(1) | flatten | linear(2)
}}

backbone {{
  stem = conv2d(4, 3) | relu
}}

train {{
  epochs = 1
}}
"""
OTHERS = (
    ("arrays", 'path = "a.npz"\n  input = photo(3, 8, 8)', "as it was saved"),
    ("scenes", "input = photo(3, 24, 32)", "red, green and blue; whole numbers of 8 bits"),
    ("mnist", 'root = "mnist"\n  input = photo(1, 28, 28)', "gray"),
    ("omniglot", 'root = "omniglot"\n  input = photo(1, 28, 28)\n  alphabets = ["Korean"]', "1 where there is ink"),
)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(20, 31), (33, 12), (7, 9), (16, 16)], ids=str)
@pytest.mark.parametrize("fit", [("none", "none"), ("stretch", "none"), ("cover", "center")], ids=str)
def test_it_is_what_training_reads(
    fit: tuple[str, str], size: tuple[int, int], channels: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resize, crop = fit
    high, wide = size if resize == "none" else (10, 14)
    spec = loads(TEXT.format(channels=channels, high=high, wide=wide, resize=resize, crop=crop))
    numbers = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(numbers[..., 0] if channels == 1 else numbers).save(tmp_path / "picture.png")
    (code,) = re.findall(r"```python\n(.*?)```", picture_recipe(spec.data, "photo"), re.S)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(code.replace("picture.jpg", "picture.png"), names)
    wanted = as_tensor(picture(tmp_path / "picture.png", (channels, high, wide), fit=fit_of(spec.data))).numpy()
    assert names["photo"].dtype == np.float32
    assert np.array_equal(names["photo"], (wanted[None] / np.float32(255)).astype(np.float32))


@pytest.mark.parametrize(("kind", "settings", "said"), OTHERS, ids=[each[0] for each in OTHERS])
def test_of_other_kinds_it_says_what_the_numbers_are(kind: str, settings: str, said: str) -> None:
    text = f"""\
mtl 1

data {kind} {{
  {settings}
}}

task again {{
  target = reconstruct
  head   = conv2d({1 if "photo(1" in settings else 3}, 1)
}}

backbone {{
  stem = conv2d(4, 3) | relu
}}

train {{
  epochs = 1
}}
"""
    found = picture_recipe(loads(text).data, "photo")
    assert found.startswith("`photo` is a picture, (channels, height, width)")
    assert said in found
