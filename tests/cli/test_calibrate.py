"""``pendula calibrate``: its figures, for people and for scripts."""

import json

from click.testing import CliRunner

from pendula import cli
from pendula.modelfile import load


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli.main, arguments, prog_name="pendula")
    return result.exit_code, result.stdout, result.stderr


def test_json_holds_every_segment() -> None:
    code, out, err = run("calibrate", "twin://", "digits", "--json")
    assert (code, err) == (0, "")
    report, program = json.loads(out), load("digits")
    assert report["v"] == ["clip", "1"]
    assert len(report["coupling"]) == len(report["local"]) == program.segments
    assert abs(report["coupling"][0][0][0] - 1) < 0.003


def test_lines_name_functions_and_segments() -> None:
    code, out, _ = run("calibrate", "twin://?mismatch=0.1", "digits")
    assert code == 0
    assert "segment 0 coupling 1 " in out
    assert "local x3" in out
    assert "gain" in out


def test_a_device_that_is_not_there_is_one_line() -> None:
    code, _, err = run("calibrate", "twin:///dev", "digits")
    assert (code, err.count("\n")) == (2, 1)
