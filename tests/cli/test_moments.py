"""``pendula moments``: the figures, the file, and what is refused."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from pendula import cli
from pendula.device import open_device

NAMES = ("totals", "squares", "products", "counts", "mean_val", "variance_val", "covariance_val",
         "correlation", "bin_edges_val")
OPTIONS = ("--device", "twin://", "-n", "9", "--seed", "5", "--first", "2", "--thin", "2",
           "--nodes", "0:2,4", "--edges", "1-0,4-5", "--histograms", "3", "--bins", "8")


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli.main, [str(item) for item in arguments], prog_name="pendula")
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def expected(model):
    with open_device("twin://") as device:
        device.load(model[1])
        return device.moments(9, seed=5, first=2, thin=2, nodes=[0, 1, 4], edges=[(1, 0), (4, 5)],
                              histograms=[3], bins=8)


def test_the_file_holds_sums_and_moments(model, expected, tmp_path):
    output = tmp_path / "M.npz"
    code, printed, _ = run("moments", model[0], *OPTIONS, "-o", output)
    assert code == 0
    assert "saturations" in printed
    with np.load(output) as file:
        assert file["program"] == model[1].digest
        assert (file["samples"], file["seed"], file["first"], file["thin"]) == (9, 5, 2, 2)
        assert file["nodes"].tolist() == [0, 1, 4, 5]
        assert file["edges"].tolist() == [[1, 0], [4, 5]]
        for name in NAMES:
            assert np.array_equal(file[name], getattr(expected, name)), name


def test_json_holds_all_of_it(model, expected):
    code, printed, _ = run("moments", model[0], *OPTIONS, "--json")
    found = json.loads(printed)
    assert code == 0
    for name in NAMES:
        assert found[name] == getattr(expected, name).tolist(), name


def test_what_is_no_number_is_null(model):
    code, printed, _ = run("moments", model[0], "--device", "twin://", "-n", "1", "--edges", "0-1",
                           "--json")
    assert code == 0
    assert json.loads(printed)["correlation"] == [None]


@pytest.mark.parametrize(("arguments", "words"), [
    (["--edges", "0_1"], "'0_1' must be a pair of nodes, such as 0-1"),
    (["--nodes", "1,a"], "'a' must be a node, such as 4, or a range, such as 0:8"),
    (["--nodes", "99"], "nodes[0] must be within 0.."),
    (["--bins", "10"], "bins must be a power of two within 2..256, not 10"),
    (["-n", "0"], "count must be within 1.."),
    (["--thin", "0"], "thin must be within 1..65536, not 0"),
    (["-o", "/nowhere/M.npz"], "folder /nowhere must exist"),
])
def test_bad_arguments_are_refused_in_one_line(model, arguments, words):
    code, printed, error = run("moments", model[0], "--device", "twin://", *arguments)
    assert code == 2
    assert words in error
    assert error.count("\n") == 1
    assert not printed
