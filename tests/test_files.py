"""Files that appear whole or not at all: after errors, kills and power cuts."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pendula.files import replacing

KILLED = """
import os, signal, sys
from pendula.files import replacing
with replacing(sys.argv[1]) as path:
    path.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def write(target: Path, text: str = "whole") -> None:
    with replacing(target) as path:
        path.write_text(text)


def test_an_error_leaves_the_old_file(tmp_path):
    target = tmp_path / "S.npz"
    write(target, "old")
    with pytest.raises(UnicodeEncodeError), replacing(target) as path:
        path.write_text("half\ud800")
    assert [path.name for path in tmp_path.iterdir()] == ["S.npz"]
    assert target.read_text() == "old"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_what_a_killed_process_left_is_deleted_when_it_is_old(tmp_path):
    target, other = tmp_path / "S[1].npz", tmp_path / "S1.npz"
    for path in (target, other):
        killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
        assert killed.returncode < 0
    left = {path.name[10:]: path for path in tmp_path.iterdir()}
    assert left.keys() == {target.name, other.name}
    write(target)
    assert left[target.name].exists()           # its writer may be at it
    for path in left.values():
        os.utime(path, (time.time() - 3601, time.time() - 3601))
    write(target)
    assert set(tmp_path.iterdir()) == {target, left[other.name]}
    assert target.read_text() == "whole"


def test_bytes_are_on_the_disk_before_the_name_is(tmp_path, monkeypatch):
    target, synced = tmp_path / "S.npz", []

    def note(descriptor: int) -> None:
        synced.append((os.fstat(descriptor).st_ino, target.read_text()))

    write(target, "old")
    monkeypatch.setattr(os, "fsync", note)
    write(target, "new")
    assert synced == [(target.stat().st_ino, "old")]
    assert target.read_text() == "new"
