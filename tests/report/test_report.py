import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import matplotlib.image
import numpy as np
import pytest

from altered import AlteredDevice
from pendula.comparison import compare
from pendula.contract import CONTRACT_ID
from pendula.contract.step import pixel
from pendula.device import open_device
from pendula.errors import DataError
from pendula.metrics import Score
from pendula.program import pixel_map
from pendula.report import Figure, Grid, state_images, write_report
from relaxing import relaxing_program

COUNT = 60


@pytest.fixture(scope="module")
def program():
    base = relaxing_program(nodes=12)
    visible = np.arange(12) > 2
    return replace(base, visible=visible, image_shape=(3, 3), **pixel_map(base.spec, -1.0, 1.0),
                   provenance={"rule": "<force> matching",
                               "metrics": {"loss": 0.25, "range": [1, 2]},
                               "segments": [{"steps": 4, "power": 0.5}, {"steps": 7, "power": 2}]})


@pytest.fixture(scope="module")
def comparisons(program):
    """Equal bits, equal laws, different bits, different laws."""
    other = replace(program, noise_gain=program.noise_gain * 2)
    with open_device("twin://") as twin:
        altered = AlteredDevice(twin, program=lambda _: other)
        return [compare(program, device, against, count=COUNT, seed=3) for device, against in (
            ("twin://", "twin://"), ("twin://", "float://"), (altered, "twin://"),
            (altered, "float://"))]


class Page(HTMLParser):
    """Text, tags and pictures of a page; refuses tags that are not closed in order."""

    VOID = ("meta", "img", "source", "br")

    def __init__(self, html):
        super().__init__()
        self.text, self.tags, self.pictures, self.attributes = "", [], [], []
        self._open = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self._open.append(tag)
        for name, value in attrs:
            if name in ("src", "srcset"):
                self.pictures.append(value)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open[-1:] != ["style"]:
            self.text = " ".join(f"{self.text} {data}".split())


def write(tmp_path, program, **parts):
    path = tmp_path / "report.html"
    write_report(path, title="A & B", program=program, **parts)
    html = path.read_text(encoding="utf-8")
    return html, Page(html)


@pytest.fixture(scope="module")
def full(tmp_path_factory, program, comparisons):
    """HTML and page of a report of all comparisons."""
    return write(tmp_path_factory.mktemp("full"), program, comparisons=comparisons,
                 command="pendula compare x -n 60",
                 figures=[Figure(name="speed", value=2345678.0, unit="1/s", note="one core")])


def decode(picture):
    prefix = "data:image/png;base64,"
    assert picture.startswith(prefix)
    return matplotlib.image.imread(io.BytesIO(base64.b64decode(picture[len(prefix):])))


def test_page_is_self_contained(full):
    html, page = full
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert not re.search(r"https?:", html)
    assert all(decode(picture).size for picture in page.pictures)
    assert len(page.pictures) > 10
    assert not [name for name, _ in page.attributes if name.startswith("on")]


def test_verdicts_come_first_and_say_what_was_found(full, comparisons):
    _, page = full
    order = ["✓ Equal, bit for bit", "✓ No difference found", "✗ Different", "Key figures",
             "Where the time went", "What was run"]
    places = [page.text.index(part) for part in order]
    assert places == sorted(places)
    assert page.text.count("✗ Different") == 2
    assert "60 samples × 12 nodes: 720 states, 540 pixels, 192 forces, and the count" in page.text
    difference = comparisons[2].outcome.differences[0]
    assert str(difference) in page.text
    assert "Found in: " in page.text
    power = comparisons[1].outcome.power[0].mean_shift_sd
    assert f"one node's mean off by {power:.2f} standard deviations" in page.text
    assert "speed 2,346,000 1/s one core" in page.text


def test_statistics_are_in_the_tables(full, comparisons):
    _, page = full
    outcome = comparisons[1].outcome
    for family in outcome.families:
        assert f"{family.name} no difference {family.tests:,}" in page.text
    assert f"effective samples, worst node {outcome.ess_a.min():.0f}" in page.text
    distance = outcome.power[0].ks_distance
    assert f"Kolmogorov-Smirnov distance of one node {distance:.3f}" in page.text


def test_what_was_run_is_named(full, program):
    html, page = full
    for part in (program.digest, program.spec.digest, CONTRACT_ID, "pendula compare x -n 60",
                 "seeds of twin:// 3", "seeds of float:// 4", "loss 0.25, range 1, 2",
                 "steps power 4 0.5 7 2", "Python", "numpy"):
        assert part in page.text
    assert not re.search(r"/(home|root|tmp|usr|Users)/", html)


def test_texts_are_escaped(tmp_path, program):
    html, page = write(tmp_path, program, summary="<script>alert(1)</script>")
    assert "script" not in page.tags
    assert "<title>A &amp; B</title>" in html
    assert "&lt;force&gt; matching" in html


def test_images_of_states_are_those_that_the_array_reads_out(program):
    with open_device("twin://") as twin:
        twin.load(program)
        states = twin.sample(20, seed=1, hidden=True).values
        pixels = twin.sample(20, seed=1, pixels=True).values
    images = state_images(program, program.states_val(states))
    np.testing.assert_array_equal(images, pixels.reshape(20, 3, 3))
    assert images.dtype == np.uint8
    assert images[0, 0, 0] == pixel(program.spec, program.pixel_gain, program.pixel_offset,
                                    int(states[0, 3]))


def test_grid_shows_every_image_once(tmp_path, program):
    images = np.arange(7 * 9, dtype=np.uint8).reshape(7, 3, 3)
    _, page = write(tmp_path, program, grids=[Grid(title="data", images=images, note="real")])
    sheet = np.rint(255 * decode(page.pictures[0]))
    assert sheet.shape == (3 * 4 - 1, 3 * 4 - 1, 4)
    shown = [sheet[4 * (i // 3):4 * (i // 3) + 3, 4 * (i % 3):4 * (i % 3) + 3, 0] for i in range(7)]
    np.testing.assert_array_equal(shown, images)
    assert (sheet[3, :, 3] == 0).all()
    assert "data real" in page.text


def test_grid_has_a_limit(tmp_path, program):
    images = np.zeros((100, 3, 3), np.uint8)
    html, _ = write(tmp_path, program, grids=[Grid(title="data", images=images, limit=16)])
    assert 'alt="16 images: data"' in html


def test_maps_show_the_values_of_the_nodes(tmp_path, program, comparisons):
    _, page = write(tmp_path, program, comparisons=comparisons[1:2])
    means = state_images(program, comparisons[1].device.states_val).mean(axis=0)
    shown = decode(page.pictures[0])
    assert shown.shape == (3, 3, 4)
    np.testing.assert_allclose(255 * shown[:, :, 0], means, atol=1.5)


@pytest.mark.parametrize("physics", ["kuramoto", "ising"])
def test_other_physics_and_arrays_without_images(tmp_path, physics):
    program = relaxing_program(physics)
    comparison = compare(program, "twin://", "float://", count=COUNT, seed=3)
    html, page = write(tmp_path, program, comparisons=[comparison])
    assert "mean pixel" not in page.text
    assert html.count("<picture>") == 3


def test_scores_are_drawn_with_floor_and_controls(tmp_path, program):
    scores = [Score(name="model", role="samples", distance=0.1, standard_error=0.01, count=9),
              Score(name="training images", role="floor", distance=-0.001, standard_error=0.01,
                    count=8)]
    _, page = write(tmp_path, program, scores=scores)
    assert "model samples 9 0.1000 0.0100" in page.text
    assert "training images floor 8 -0.0010 0.0100" in page.text
    assert len(page.pictures) == 2


def test_time_split_adds_up(tmp_path, program, comparisons):
    split = {"build": 3.0, "load": 0.5, "run": 1.5, "read": 0.0}
    comparison = replace(comparisons[0], device=replace(comparisons[0].device, url="verilator://",
                                                        times=split))
    html, page = write(tmp_path, program, comparisons=[comparison])
    assert "verilator:// 3.00 s 0.50 s 1.50 s – 5.00 s" in page.text
    assert 'class="build" style="width: 60.00%"' in html


@pytest.mark.parametrize("images", [np.zeros((0, 3, 3), np.uint8), np.zeros((3, 3), np.uint8),
                                    np.zeros((2, 3, 3))])
def test_grids_hold_images(images):
    with pytest.raises(DataError, match="Images of data must be uint8 of shape"):
        Grid(title="data", images=images)


def test_file_appears_whole_or_not_at_all(tmp_path, program):
    _, page = write(tmp_path, program)
    assert "What was run" in page.text
    before = (tmp_path / "report.html").read_bytes()
    with pytest.raises(UnicodeEncodeError):
        write(tmp_path, program, summary="\ud800")
    assert (tmp_path / "report.html").read_bytes() == before
    assert list(tmp_path.iterdir()) == [tmp_path / "report.html"]
