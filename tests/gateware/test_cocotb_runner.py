import pytest

from cocotb_runner import missing_prerequisite, run_cocotb


def test_missing_make_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(pytest.skip.Exception, match="cocotb needs make: install it"):
        run_cocotb(None, "none", tmp_path, seed=0)


def test_missing_libpython_is_named(monkeypatch):
    if missing_prerequisite():
        pytest.skip("other tools are missing")
    monkeypatch.setattr("find_libpython.find_libpython", lambda: None)
    assert missing_prerequisite() == (
        "cocotb needs a shared libpython: install it (Debian: apt install python3-dev)")
