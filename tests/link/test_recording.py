"""Recordings: what is written comes back, and no damage is taken for a recording."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pendula.errors import LinkDownError, RecordingError
from pendula.link import recording
from pendula.link.recording import Player, Recorder
from pendula.link.transport import AbstractTransport
from recordings.record import path_of

EVENTS = st.lists(st.one_of(
    st.tuples(st.sampled_from(["send", "receive"]), st.binary(max_size=20)),
    st.tuples(st.just("fail"), st.text(max_size=9)), st.tuples(st.just("open"), st.none()),
    st.tuples(st.just("open"), st.text(max_size=9))), max_size=9)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recordings")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "F.jsonl"


def write(path: Path, events: list[tuple[str, bytes | str | None]]) -> None:
    path.unlink(missing_ok=True)
    recorder = Recorder(path, "test://")
    for kind, detail in events:
        recorder.note(kind, detail.hex() if isinstance(detail, bytes) else detail)
    recorder.close()


def read(path: Path) -> list[tuple[str, bytes | str | None]]:
    player = Player(path)
    try:
        events = []
        while player.next:
            event = player.take()
            detail = event.data if event.kind in ("send", "receive") else event.error
            events.append((event.kind, detail))
        return events
    finally:
        player.close()


@given(EVENTS)
def test_events_come_back(folder, events):
    write(folder / "whole", events)
    assert read(folder / "whole") == events


def test_the_header_says_what_was_recorded(path):
    write(path, [])
    header = json.loads(path.read_text())
    assert (header["url"], header["version"]) == ("test://", recording.FORMAT_VERSION)
    assert len(header["contract"]) == 64


@given(EVENTS, st.integers(0, 2000))
def test_a_killed_recorder_leaves_whole_events(folder, events, kept):
    """Cut anywhere behind the header, what is left begins the recording."""
    whole = folder / "cut"
    write(whole, events)
    data = whole.read_bytes()
    head = data.index(b"\n") + 1
    cut = min(len(data), head + kept)
    whole.write_bytes(data[:cut])
    assert read(whole) == events[:data[head:cut].count(b"\n")]


def test_an_existing_file_is_left_alone(path):
    path.write_text("my diary")
    with pytest.raises(RecordingError, match=r"F.jsonl must be a new file, and it exists"):
        Recorder(path, "test://")
    assert path.read_text() == "my diary"


def test_a_recording_does_not_grow_beyond_its_bound(path, monkeypatch):
    monkeypatch.setattr(recording, "MAX_FILE_BYTES", 1000)
    recorder = Recorder(path, "test://")
    for _ in range(15):
        recorder.note("send", "00")
    with pytest.raises(RecordingError, match="must have at most 1000 bytes"):
        recorder.note("fail", "x" * 1000)
    recorder.close()
    assert len(read(path)) > 5
    monkeypatch.setattr(recording, "MAX_FILE_BYTES", 500)
    with pytest.raises(RecordingError, match=r"line 0: must have at most 500 bytes, not \d+"):
        Player(path)


def test_lines_are_bounded(path, monkeypatch):
    monkeypatch.setattr(recording, "MAX_LINE_BYTES", 300)
    recorder = Recorder(path, "test://")
    with pytest.raises(RecordingError, match="300 a line"):
        recorder.note("send", "00" * 300)
    recorder.close()
    with path.open("a") as file:
        file.write("x" * 301)
    with pytest.raises(RecordingError, match="line 2: must have at most 300 bytes"):
        Player(path)


@pytest.mark.parametrize(("line", "message"), [
    ("[1]", "must be a JSON object, not list"), ("{", "must be JSON: "), ("", "must be JSON"),
    ("[" * 100_000, "must be JSON"), ('{"kind": 5}', "kind must be one of send, .*, not 5"),
    ('{"kind": "send", "t_us": 0}', r"must have exactly the fields t_us \(int\), kind \(str\), "),
    ('{"kind": "send", "t_us": true, "data": ""}', "must have exactly the fields"),
    ('{"kind": "send", "t_us": 1, "data": "", "more": 1}', "must have exactly the fields"),
    ('{"kind": "send", "t_us": 1, "data": "0g"}', "data must be pairs of hexadecimal digits"),
    ('{"kind": "send", "t_us": -1, "data": ""}', "t_us must be at least 0, not -1"),
    ('{"kind": "send", "t_us": 1' + "0" * 5000 + ', "data": ""}', "must be JSON"),
    ("\xff", "must be JSON"),
], ids=lambda value: value[:20])
def test_a_damaged_line_is_named(path, line, message):
    write(path, [])
    with path.open("ab") as file:
        file.write(line.encode("latin1") + b"\n")
    with pytest.raises(RecordingError, match=f"F.jsonl, line 2: {message}") as caught:
        Player(path)
    assert caught.value.line == 2


@pytest.mark.parametrize(("text", "message"), [
    ("", "line 1: must be the first line of a pendula recording"),
    ("{}\n", "line 1: must be the first line"),
    ('{"format": "pendula recording"}\n', "line 1: version must be 1, not None"),
    ('{"format": "pendula recording", "version": 1}\n', "line 1: must have exactly the fields"),
])
def test_a_file_must_be_a_recording(path, text, message):
    path.write_text(text)
    with pytest.raises(RecordingError, match=message):
        Player(path)


def test_a_missing_file(path):
    with pytest.raises(RecordingError, match=r"F.jsonl cannot be read: No such file"):
        Player(path)


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), min_size=1, max_size=5),
       st.sampled_from(["whole", "broken"]))
def test_damaged_bytes_are_an_error_or_another_recording(folder, changes, name):
    data = bytearray(path_of(name).read_bytes())
    for place, value in changes:
        data[place % len(data)] = value
    (folder / "damaged").write_bytes(data)
    with suppress(RecordingError):
        read(folder / "damaged")


class Breaking(AbstractTransport):
    """Answers once, then breaks."""

    def __init__(self) -> None:
        self.answers = [b"pong"]
        self.closed = False

    def write(self, data: bytes) -> None:
        if not self.answers:
            raise LinkDownError("gone")

    def read(self, cycles: int) -> bytes:
        if not self.answers:
            raise LinkDownError("broke")
        return self.answers.pop()

    def close(self) -> None:
        self.closed = True


def test_all_traffic_is_recorded(path):
    def transports():
        yield Breaking()
        raise LinkDownError("nobody there")

    recorder = Recorder(path, "test://")
    made = recorder.watch(transports())
    transport = next(made)
    transport.write(b"ping")
    assert transport.read(5) == b"pong"
    for action in (lambda: transport.read(5), lambda: transport.write(b"x"), lambda: next(made)):
        with pytest.raises(LinkDownError):
            action()
    recorder.close()
    assert read(path) == [("open", None), ("send", b"ping"), ("receive", b"pong"),
                          ("fail", "broke"), ("send", b"x"), ("fail", "gone"),
                          ("open", "nobody there")]
