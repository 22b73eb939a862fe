from __future__ import annotations

import os
from pathlib import Path

import pytest

from mtsldsl.editing.fixes import mend, save
from mtsldsl.syntax import ChangedMeanwhileError, read_source
from tests.ir.specs import BODY


def test_a_save_while_the_fixes_are_written_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.mtl"
    path.write_text(BODY.replace("epochs", "epoch"), encoding="utf-8")
    before = read_source(path)
    mended = mend(before)
    assert mended.fixed
    sync = os.fsync

    def saved_meanwhile(descriptor: int) -> None:
        sync(descriptor)
        path.write_text("# saved meanwhile\n", encoding="utf-8")

    monkeypatch.setattr(os, "fsync", saved_meanwhile)
    with pytest.raises(ChangedMeanwhileError, match="MTL704"):
        save(before, mended.report.source, str(path))
    assert path.read_text(encoding="utf-8") == "# saved meanwhile\n"
