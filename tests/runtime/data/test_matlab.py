from __future__ import annotations

import base64
import zlib
from pathlib import Path

import numpy as np
import pytest

from mtsldsl.datasets.nyuv2.matlab import read_matlab
from mtsldsl.diagnostics import MtlError
from tests.runtime.data.matlab_files import write_matlab

# written by scipy.io.savemat: small and compressed elements, a cell array, an empty matrix
WRITTEN_BY_SCIPY = (
    "c-r%I4DoSvQZUssQ1EpO(M`+DNmU5QNi0drFUqx2D9A6)tk6+#E=o--Nlj76&$ChpF3nT$%P&(fGEy)wure{UGBs5&GB7e@AOkRZ"
    "`tk!QOCYY8^Ef#n!Gj^mOyOC>C4~cAPd76dDvJ~|6?z6HrOk`?ay1N*_3&wA<dablVV@$_cu9zlLEsnbc8~$~a04P3kK{O<VLZ~q"
    "BXFSWNP5$yISzB?Opb_oGkwNvuF&J`N7y`mMQ(VJ?qU?qaKcL^I9_N18^baVHW`pH`fy`5fZf56l*h)A(E4d+!wkVL$3K&<JQCVJ"
    "r7KB{O>BV#H#38?2J>T(Hcd2b5a%CeP!`zCTo_m9>6R8}#jGA8!(dm)TmS%?v1Ro"
)


def test_a_compressed_file_of_another_writer_is_read(tmp_path: Path) -> None:
    path = tmp_path / "splits.mat"
    path.write_bytes(zlib.decompress(base64.b85decode(WRITTEN_BY_SCIPY)))
    arrays = read_matlab(path)
    assert arrays["trainNdxs"].tolist() == [[2], [3], [5], [6]]
    assert arrays["testNdxs"].tolist() == [[1], [4]]
    assert arrays["nothing"].shape == (0, 0)
    assert "className" not in arrays


def test_matrices_keep_their_shape_and_order(tmp_path: Path) -> None:
    matrix = np.arange(6.0).reshape(2, 3)
    path = write_matlab(tmp_path / "two.mat", first=matrix, second=np.array([[7.0]]))
    arrays = read_matlab(path)
    assert arrays["first"].tolist() == matrix.tolist()
    assert arrays["second"].tolist() == [[7]]


@pytest.mark.parametrize(
    "content", [b"", b"<html>not found</html>" * 20, b"MATLAB".ljust(126) + b"IM" + b"\x0e\0\0\0" * 9]
)
def test_what_is_no_such_file_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "splits.mat"
    path.write_bytes(content)
    with pytest.raises(MtlError, match=r"MTL602.*no MATLAB level 5 file"):
        read_matlab(path)
