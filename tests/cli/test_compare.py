import json
import re
import shlex
import sys
from dataclasses import replace

import pytest
from click.testing import CliRunner

from altered import AlteredDevice, bump
from pendula import cli, comparison
from pendula.device import open_device
from pendula.modelfile import save
from pendula.program import pixel_map
from relaxing import relaxing_program


def run(*arguments):
    result = CliRunner().invoke(cli.main, ["compare", *map(str, arguments)], prog_name="pendula")
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def program():
    base = relaxing_program(nodes=12)
    return replace(base, image_shape=(3, 4), **pixel_map(base.spec, -1.0, 1.0))


@pytest.fixture
def path(tmp_path, program):
    save(program, tmp_path / "m.pendula")
    return tmp_path / "m.pendula"


@pytest.fixture
def altered(monkeypatch):
    """Plant one coupling code changed by one in the device that is opened first."""
    opened = []

    def open_altered(url):
        opened.append(url)
        device = open_device(url)
        alter = bump("codes", 1, 5, 2)
        return AlteredDevice(device, program=alter) if len(opened) == 1 else device
    monkeypatch.setattr(comparison, "open_device", open_altered)


def test_equal_devices_exit_with_zero(path):
    code, out, err = run(path, "--device", "twin://", "-n", 20)
    assert (code, err) == (0, "")
    assert "twin:// and twin:// are equal: every bit of 20 samples x 12 nodes agrees." in out
    assert re.search(r"^state +0 of 240 differ$", out, re.MULTILINE)
    assert re.search(r"^force +0 of \d+ differ$", out, re.MULTILINE)


def test_difference_exits_with_one_and_is_located(path, altered):
    code, out, _ = run(path, "--device", "twin://", "-n", 20)
    assert code == 1
    assert re.search(r"differ: state differs first at sample \d+, step \d+, segment 1, node 5: "
                     r"-?\d+, not -?\d+\.", out)
    assert re.search(r"^first force +force differs first at segment 1, node 5", out, re.MULTILINE)


def test_float_is_compared_in_law(path):
    code, out, _ = run(path, "--device", "twin://", "--against", "float://", "-n", 200, "--seed", 3)
    assert code == 0
    assert "twin:// and float:// do not differ (alpha = 0.01)" in out
    for family in ("distribution functions", "means", "covariances", "energy distance"):
        assert re.search(rf"^{family} +smallest p [\d.e-]+, corrected for \d+ tests; level 0.0025$",
                         out, re.MULTILINE)
    assert re.search(r"^power 0\.9 +mean off by 0\.\d+ standard deviations", out, re.MULTILINE)


def test_json_is_the_whole_comparison(path):
    code, out, _ = run(path, "--device", "twin://", "-n", 40, "--mode", "statistical", "--json")
    data = json.loads(out)
    assert code == 0
    assert (data["mode"], data["equal"], data["count"]) == ("statistical", True, 40)
    assert len(data["outcome"]["means"]["difference"]) == 12


def test_report_is_written_and_says_how_to_make_it_again(path, tmp_path, program):
    report = tmp_path / "r.html"
    code, out, _ = run(path, "--device", "twin://", "-n", 20, "--seed", 5, "--report", report)
    assert code == 0
    assert str(report) in out
    html = report.read_text()
    assert "Equal, bit for bit" in html
    assert program.digest in html
    assert html.count('images: twin://"') == 2
    assert str(tmp_path) not in html
    again = re.search(r"<code>(pendula compare [^<]+)</code>", html)
    assert again
    assert shlex.split(again[1])[2:] == [
        "m.pendula", "--device", "twin://", "--against", "twin://", "-n", "20", "--seed", "5",
        "--mode", "auto", "--report", "r.html"]


@pytest.mark.parametrize(("arguments", "message"), [
    (["--device", "twin://", "--against", "float://", "-n", 5], "at least 32"),
    (["--device", "twin://", "-n", 0], "Number of samples must be positive, not 0"),
    (["--device", "float://", "--mode", "exact"], "mode must be statistical for float://"),
    (["--device", "nowhere://"], "device URL must start with"),
    (["--device", "twin://", "--report", "no/such/folder/r.html"], "folder no/such/folder must"),
    (["--device", "twin://", "--mode", "both"], "'both' is not one of"),
])
def test_what_cannot_run_is_one_line_and_exits_with_two(path, arguments, message):
    code, out, err = run(path, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("pendula: error: ")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("library", ["jinja2", "matplotlib", "scipy"])
def test_missing_library_is_named_before_anything_runs(path, tmp_path, monkeypatch, library):
    for name in list(sys.modules):
        if name.partition(".")[0] == library:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    code, _, err = run(path, "--device", "twin://", "--report", tmp_path / "r.html")
    assert code == 2
    assert f"{library} must be installed for this: pip install 'pendula[report]'" in err
    assert not (tmp_path / "r.html").exists()
