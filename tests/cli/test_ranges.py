import json
import re

import pytest
from click.testing import CliRunner

from pendula import cli
from pendula.modelfile import save
from relaxing import relaxing_program


def run(*arguments):
    result = CliRunner().invoke(cli.main, ["ranges", *map(str, arguments)], prog_name="pendula")
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def path(tmp_path):
    save(relaxing_program(noise_val=0.9), tmp_path / "m.pendula")
    return tmp_path / "m.pendula"


def test_table(path):
    code, out, err = run(path, "-n", 100)
    assert (code, err) == (0, "")
    assert re.search(r"^state +18 +18 +18 +-4 to 4 .* segment \d, node \d+$", out, re.MULTILINE)
    assert re.search(r"^saturations +\d+ of 12000 updates$", out, re.MULTILINE)
    assert re.search(r"^idle +terms local x3, local 1; \d+ of 1024 table rows", out, re.MULTILINE)
    assert re.search(r"^suggestion 1 +scale the states down", out, re.MULTILINE)


def test_json(path):
    code, out, _ = run(path, "-n", 10, "--json")
    assert code == 0
    assert {signal["name"] for signal in json.loads(out)["signals"]} >= {"state", "total"}


def test_wrong_count_exits_with_two(path):
    code, out, err = run(path, "-n", 0)
    assert (code, out) == (2, "")
    assert "Number of samples must be positive, not 0" in err
