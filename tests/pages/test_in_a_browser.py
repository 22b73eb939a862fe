"""The pages in a real browser: all of it is drawn, and at the width of a phone nothing is cut.

It needs Chromium (`apt-get install chromium`), which is no dependency of the project: where there is none, this is
skipped, and `tests/page_rules.py` alone holds what can be held without.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

from mtsldsl.runtime.run.report import run_page
from mtsldsl.runtime.studies.baselines.study_page import study_page
from tests.cli.differing import AFTER, BEFORE, diff
from tests.runtime.test_answered import DENSE, answered, rooms, spec_of, told
from tests.runtime.test_report import run
from tests.studies.test_comparison import USUAL, study

BROWSER = next((each for each in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if each), None)

pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium to look with")

PHONE = 390

MEASURE = """<!doctype html>
<html><body>
%s
<pre id="found"></pre>
<script>
onload = () => {
  const found = [...document.querySelectorAll("iframe")].map((frame) => {
    const page = frame.contentDocument;
    const all = [...page.body.querySelectorAll("*")];
    const drawn = all.filter((each) => ["svg", "IMG"].includes(each.tagName) && !each.closest("details"));
    return {
      width: page.scrollingElement.scrollWidth,
      cut: all.filter((each) => !each.closest(".wide") && each.getBoundingClientRect().right > frame.clientWidth + 0.5)
        .map((each) => each.outerHTML.slice(0, 80)),
      drawn: drawn.length,
      empty: drawn.filter((each) => each.getBoundingClientRect().width < 40 || each.naturalWidth === 0).length,
      height: page.scrollingElement.scrollHeight,
    };
  });
  document.getElementById("found").textContent = JSON.stringify(found);
};
</script>
</body></html>
"""


def test_pages_are_drawn_whole_on_a_phone_and_on_a_desk(tmp_path: Path) -> None:
    many, pictured = tmp_path / "many.html", tmp_path / "pictured.html"
    many.write_text(run_page(run(3, tmp_path)), encoding="utf-8")
    seen = answered(spec_of(DENSE, "image(3, 24, 32)"))
    seen.see(*rooms(24, 32))
    pictured.write_text(run_page(told(seen, tmp_path)[0]), encoding="utf-8")
    for name, text in (("a", BEFORE), ("b", AFTER)):
        (tmp_path / f"{name}.mtl").write_text(text, encoding="utf-8")
    both = tmp_path / "both.html"
    diff(tmp_path / "a.mtl", tmp_path / "b.mtl", "--html", both)
    compared = tmp_path / "compared.html"
    compared.write_text(study_page(study(USUAL), "small.mtl", ["2 epochs"], ["a note"], "mtsldsl", "cpu"), "utf-8")
    pages = [(page, width) for page in (many, pictured, both, compared) for width in (PHONE, 1000)]
    frames = [f'<iframe src="{page.as_uri()}" width="{width}" height="800"></iframe>' for page, width in pages]
    measure = tmp_path / "measure.html"
    measure.write_text(MEASURE % "\n".join(frames), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", "--hide-scrollbars"]
    words = [str(BROWSER), *options, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", measure.as_uri()]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    (told_by_it,) = re.findall('<pre id="found">(.*?)</pre>', done.stdout, re.S)
    found = json.loads(unescape(told_by_it))
    assert len(found) == len(pages)
    for (page, width), each in zip(pages, found, strict=True):
        assert (each["cut"], each["empty"]) == ([], 0), page
        assert each["width"] <= width
        text = page.read_text(encoding="utf-8")
        assert each["drawn"] == text.count("<svg ") + text.count("<img ")
        assert each["height"] > 300
    assert sum(each["drawn"] for each in found) > 50
