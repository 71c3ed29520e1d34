"""Curves of a run, as its log has them."""

from __future__ import annotations

import numpy as np
import pytest

from training.plot import main, read_log, smooth

LOG = """step,seconds,rounds,plain,best,score
1,1.0,1,4.0,3.0,0.5
2,2.0,3,2.0,2.0,0.4
3,3.0,2,1.0,1.0,0.3
"""


def test_the_log_is_read_by_columns(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(LOG)
    log = read_log(path)
    assert list(log) == ["step", "seconds", "rounds", "plain", "best", "score"]
    assert log["step"].tolist() == [1, 2, 3]
    assert log["plain"].tolist() == [4, 2, 1]


def test_steps_that_were_repeated_keep_their_last_row(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(LOG + "2,9.0,1,7.0,2.0,0.4\n3,9.5,1,8.0,2.0,0.4\n")
    log = read_log(path)
    assert log["step"].tolist() == [1, 2, 3]
    assert log["plain"].tolist() == [4, 7, 8]


@pytest.mark.parametrize(
    ("width", "means"),
    [
        (1, [2, 4, 6, 8]),
        (2, [2, 3, 5, 7]),
        (3, [2, 3, 4, 6]),
        (4, [2, 3, 4, 5]),
        (99, [2, 3, 4, 5]),
    ],
)
def test_running_means_are_shorter_at_the_start(width, means):
    assert smooth(np.array([2.0, 4.0, 6.0, 8.0]), width).tolist() == means


def test_the_command_draws_a_picture(tmp_path):
    pytest.importorskip("matplotlib")
    (tmp_path / "log.csv").write_text(LOG)
    main([str(tmp_path), "-o", str(tmp_path / "curve.png")])
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
