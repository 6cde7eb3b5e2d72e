import json
import re

import pytest
from click.testing import CliRunner

from altered import AlteredDevice, bump
from pendula import cli, verification
from pendula.device import open_device
from pendula.errors import MissingExtraError
from pendula.modelfile import save
from relaxing import relaxing_program
from rounding import unrounded


def run(*arguments):
    result = CliRunner().invoke(cli.main, ["verify", *map(str, arguments)], prog_name="pendula")
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def path(tmp_path):
    save(unrounded(relaxing_program("kuramoto"), 0.3), tmp_path / "m.pendula")
    return tmp_path / "m.pendula"


def test_agreement_exits_with_zero(path):
    code, out, err = run(path, "-n", 200, "--rungs", "steps,parameters,states,integers")
    assert (code, err) == (0, "")
    assert "All rungs agree that must, of 4 that were run." in out
    assert re.search(r"^steps +costs: laws differ", out, re.MULTILINE)
    assert re.search(r"^parameters +agrees: .*; couplings are off by .*% of the error", out,
                     re.MULTILINE)
    assert re.search(r"^integers +agrees: mean shifts .* all \d+ forces equal", out, re.MULTILINE)


def test_difference_exits_with_one_and_the_report_shows_it(path, monkeypatch, tmp_path):
    monkeypatch.setattr(verification, "open_device", lambda url: AlteredDevice(
        open_device(url), program=bump("codes", 1, 5, 2)) if url == "twin://" else open_device(url))
    report = tmp_path / "r.html"
    code, out, _ = run(path, "-n", 100, "--rungs", "states,integers", "--report", report)
    assert code == 1
    assert "The ladder breaks at integers: force differs first at segment 1, node 5" in out
    html = report.read_text()
    assert "DIFFERS" in html
    assert "force differs first at segment 1, node 5" in html
    assert "pendula verify m.pendula --rungs states,integers -n 100 --seed 0" in html
    assert "Energy distance that each rung" in html
    assert str(tmp_path) not in html


@pytest.fixture
def lack(monkeypatch):
    """Return a function that takes the tools of devices away, by beginnings of their URLs."""
    def take(*beginnings):
        def refuse(url):
            if url.startswith(beginnings):
                raise MissingExtraError(f"{url} needs a tool")
            return open_device("twin://" if url == "netlist://ecp5" else url)
        monkeypatch.setattr(verification, "open_device", refuse)
    return take


def test_missing_tool_exits_with_two_where_it_was_asked_for(path, lack):
    lack("pysim:")
    code, out, _ = run(path, "-n", 50, "--rungs", "integers,pysim")
    assert code == 2
    assert re.search(r"^pysim +not run: pysim:// needs a tool$", out, re.MULTILINE)
    code, out, _ = run(path, "-n", 50, "--rungs", "integers", "--device", "pysim://")
    assert code == 2
    assert "of 1 that were run; could not run: device, so that no gateware was compared." in out


def test_missing_tools_of_the_whole_ladder_are_in_the_verdict(path, lack):
    lack("pysim:", "verilator:")
    code, out, _ = run(path, "-n", 50)
    assert code == 0
    assert "of 8 that were run; could not run: pysim, verilator.\n" in out
    lack("pysim:", "verilator:", "netlist:")
    code, out, _ = run(path, "-n", 50)
    assert code == 0
    assert ("All rungs agree that must, of 7 that were run; could not run: pysim, verilator, "
            "netlist, so that no gateware was compared.\n") in out


@pytest.mark.parametrize("options", [[], ["--rungs", "integers,pysim"]])
def test_nothing_that_was_run_exits_with_two(path, lack, options):
    lack("")
    code, out, _ = run(path, "-n", 50, *options)
    assert code == 2
    assert "Nothing was run; could not run: " in out


def test_a_difference_outweighs_what_could_not_run(path, monkeypatch):
    def open_some(url):
        if url == "pysim://":
            raise MissingExtraError("needs a tool")
        device = open_device(url)
        return AlteredDevice(device, program=bump("codes", 1, 5, 2)) if url == "twin://" else device
    monkeypatch.setattr(verification, "open_device", open_some)
    assert run(path, "-n", 50, "--rungs", "integers,pysim")[0] == 1


def test_codes_alone_exit_with_two_where_parameters_were_asked_for(tmp_path):
    save(relaxing_program(), tmp_path / "m.pendula")
    code, out, _ = run(tmp_path / "m.pendula", "-n", 50, "--rungs", "parameters,tables")
    assert code == 2
    assert "All rungs agree that must, of 1 that were run; not in the file: parameters." in out
    assert re.search(r"^parameters +not run: the file holds codes alone", out, re.MULTILINE)


def test_codes_alone_are_no_fault_of_the_whole_ladder(tmp_path, lack):
    lack("pysim:", "verilator:")
    save(relaxing_program(), tmp_path / "m.pendula")
    code, out, _ = run(tmp_path / "m.pendula", "-n", 50)
    assert code == 0
    assert ("of 7 that were run; not in the file: parameters; could not run: pysim, verilator."
            in out)


def test_a_named_rung_needs_its_device(path):
    code, out, err = run(path, "--rungs", "integers,device")
    assert (code, out) == (2, "")
    assert "rung 'device' needs a device" in err


def test_json(path):
    code, out, _ = run(path, "-n", 50, "--rungs", "integers", "--device", "twin://", "--json")
    data = json.loads(out)
    assert code == 0
    assert [item["agrees"] for item in data["results"]] == [True, True]


def test_unknown_rung_exits_with_two(path):
    code, out, err = run(path, "--rungs", "cellar")
    assert (code, out) == (2, "")
    assert "rung must be one of half-steps" in err
