"""A device from a recording answers as the recorded one did, and to nothing else."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import pendula
from pendula.device import open_device, recorded
from pendula.errors import RecordingError, UrlError
from pendula.link import recording, remote_device
from pendula.program import random_program
from recordings.record import SESSIONS, SPEC, make_program, path_of, session


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(remote_device, "_RETRY_S", 0.0)


def replay(path: Path) -> str:
    return f"replay://{path}"


@pytest.mark.parametrize("name", SESSIONS)
def test_recorded_sessions_play_through(name):
    """Where this fails, the host asks for something else: see recordings/record.py."""
    with pendula.open("twin://") as twin, pendula.open(replay(path_of(name))) as device:
        assert session(device) == session(twin)
        health = device.health
    assert (health.retries > 10, health.reconnects) == {"whole": (False, 0),
                                                        "broken": (True, 3)}[name]


def test_recording_again_gives_the_same_events(tmp_path):
    """A recorded replay has the events of the recording, but for times."""
    with pendula.open(recorded(replay(path_of("broken")), tmp_path / "F.jsonl")) as device:
        session(device)
    again, first = ([{**json.loads(line), "t_us": 0} for line in path.read_text().splitlines()[1:]]
                    for path in (tmp_path / "F.jsonl", path_of("broken")))
    assert again == first


def rewrite(path: Path, change: Callable[[list[str]], list[str]]) -> Path:
    target = path.with_suffix(".changed")
    lines = path_of("whole").read_text().splitlines(keepends=True)
    target.write_text("".join(change(lines)))
    return target


def sends(lines: list[str]) -> list[int]:
    return [k for k, line in enumerate(lines) if json.loads(line)["kind"] == "send"]


@pytest.mark.parametrize("place", [0, 5, 40, -1])
def test_another_request_is_an_error_that_names_both(tmp_path, place):
    chosen = []

    def change(lines: list[str]) -> list[str]:
        head, *events = lines
        number = sends(events)[place]
        event = json.loads(events[number])
        chosen.extend([number + 2, event["data"]])
        event["data"] = "99" + event["data"][2:]
        events[number] = json.dumps(event) + "\n"
        return [head, *events]

    path = rewrite(tmp_path / "F.jsonl", change)
    with pendula.open(replay(path)) as device, pytest.raises(
            RecordingError, match=r"the host must send 99.*not ") as caught:
        session(device)
    assert caught.value.line == chosen[0]
    assert str(caught.value).endswith(f"not {chosen[1]}")


@pytest.mark.parametrize("kept", [1, 2, 9, 100])
def test_a_recording_that_ends_early_is_an_error(tmp_path, kept):
    path = rewrite(tmp_path / "F.jsonl", lambda lines: [*lines[:kept], lines[kept][:-5]])
    with pendula.open(replay(path)) as device, pytest.raises(
            RecordingError, match=r"recording ends|recorded one did not") as caught:
        session(device)
    assert caught.value.line == kept + 1


def test_a_closed_device_stays_closed():
    device = pendula.open(replay(path_of("whole")))
    device.load(make_program())
    device.close()
    with pytest.raises(RecordingError):
        device.load(make_program())


def test_a_simulator_that_is_built_anew_is_recorded(tmp_path):
    """Another array is another connection; the last recorded one goes on."""
    programs = [make_program(),
                random_program(pendula.ArraySpec(physics=SPEC.physics, nodes=3, offsets=(1,),
                                                 segments=1, table_bits=3),
                               np.random.default_rng(0), segments=1)]

    def draw(url: str) -> list[list[list[int]]]:
        found = []
        with pendula.open(url) as device:
            for program in (*programs, programs[0]):
                device.load(program)
                found.append(device.sample(1, seed=1).values.tolist())
        return found

    path = tmp_path / "F.jsonl"
    assert draw(recorded("pysim://", path)) == draw(replay(path)) == draw("twin://")
    assert path.read_text().count('"open"') == 3


def test_requests_that_grow_with_speed_are_repeated(tmp_path, monkeypatch):
    """The clock of a replay is the recorded one, here of a very slow device."""
    path = tmp_path / "F.jsonl"
    ticks = itertools.count(0, 10**9)
    monkeypatch.setattr(recording, "time", SimpleNamespace(monotonic_ns=lambda: next(ticks)))
    found = []
    for url in ("twin://", recorded("pysim://", path), replay(path)):
        with pendula.open(url) as device:
            device.load(make_program())
            found.append(device.moments(4, seed=1).totals.tolist())
    assert found[0] == found[1] == found[2]


def test_the_hello_is_noted_and_the_url_is_that_of_the_device():
    first, *events = map(json.loads, path_of("whole").read_text().splitlines())
    assert first["url"] == "verilator://"
    hello, = (event["hello"] for event in events if event["kind"] == "hello")
    assert (hello["nodes"], hello["physics"]) == (SPEC.nodes, "kuramoto")


@pytest.mark.parametrize("url", ["twin://", "float://"])
def test_what_exchanges_no_bytes_cannot_be_recorded(tmp_path, url):
    with pytest.raises(UrlError, match=f"{url} cannot be recorded, it exchanges no bytes"):
        open_device(recorded(url, tmp_path / "F.jsonl"))
    assert [*tmp_path.iterdir()] == []
