"""A run keeps its own copy of all that its spec imports."""

from __future__ import annotations

from pathlib import Path

from mtsldsl.editing import dumps, load
from mtsldsl.runtime.run.session import Session

NETWORK = "mtl 1\nlet width = 8\nbackbone {\n  stem = conv2d(width, 3, stride=2) | relu\n}\n"
SPEC = """\
mtl 1
import "network.mtl"

data scenes {
  input = image(3, 32, 32)
}

task [depth, far] {
  target = values(1)
  head   = conv2d(1, 1) | resize_as(image)
}

train {
  epochs = 1
}
"""


def test_the_spec_of_a_run_needs_none_of_the_files_that_it_imported(tmp_path: Path) -> None:
    (tmp_path / "network.mtl").write_text(NETWORK)
    (tmp_path / "spec.mtl").write_text(SPEC)
    spec = load(tmp_path / "spec.mtl", {"width": 4})
    session = Session.create(spec, "imports", tmp_path / "runs", "cpu", "quiet")
    (tmp_path / "network.mtl").unlink()
    assert session.folder.read_spec(session.folder.spec) == spec
    assert session.folder.read_spec(session.folder.evolution / "start.mtl") == spec
    evolved = session.spec.with_sharing(session.spec.sharing.merge("stem", ["depth", "far"]))
    session.folder.write_spec(evolved.source, "epoch-001")
    assert session.folder.read_spec(session.folder.spec).sharing == evolved.sharing
    assert "let width = 4" in dumps(session.folder.read_spec(session.folder.spec))
