"""The host's side of the link: requests, answers, repeats.

One request is under way at a time, and beside a RUN one errand. Every attempt has a fresh sequence
number, and answers with another one are ignored; since bytes arrive in order, an answer that came
late is over before the next request is answered, and 256 numbers are enough.
"""

import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from cobs import cobs

from pendula.contract.protocol import (
    ARGUMENTS,
    HEADER_BYTES,
    INDEX_BYTES,
    MAX_REQUEST_BYTES,
    RESPONSE_BODY,
    Hello,
    Opcode,
    Status,
    decode_response,
    encode_request,
)
from pendula.contract.registers import RegisterName
from pendula.device import Health
from pendula.errors import DeviceError, LinkError, SilentLinkError
from pendula.link.transport import AbstractTransport

__all__ = ["ATTEMPTS", "Client", "Errand", "RunCounters", "errands"]

ATTEMPTS = 8                 # of one request, before the link is given up
_NOISE_BYTES = 1 << 20       # bytes without a sound answer, before an attempt is given up
_SHOWN_BYTES = 16
_OK_BODY_BYTES: dict[Opcode, int | None] = {
    op: struct.calcsize(form) for op, form in RESPONSE_BODY.items()
} | {Opcode.HELLO: None}     # Hello.decode says more about another protocol version
_READ_BYTES = 1 << 10        # rows of one READ_MEMORY: what a damaged answer costs


@dataclass(slots=True)
class _Tally:
    """What arrived during the attempts of one request."""

    received: int = 0
    damaged: int = 0
    foreign: int = 0
    last: bytes = b""

    def add(self, data: bytes) -> None:
        """Count bytes that arrived."""
        self.received += len(data)
        self.last = (self.last + data[-_SHOWN_BYTES:])[-_SHOWN_BYTES:]

    def __str__(self) -> str:
        if not self.received:
            return "received nothing"
        return (f"received {self.received} bytes, {self.damaged} damaged frames, "
                f"{self.foreign} frames of no use, last {self.last.hex()}")


@dataclass(frozen=True, slots=True)
class RunCounters:
    """Counters of one RUN.

    Parameters
    ----------
    saturations : int
        Clipped node updates.
    cycles : int
        Clock cycles.
    """

    saturations: int
    cycles: int


@dataclass(frozen=True, slots=True)
class Errand:
    """Rows to write while the device draws samples: one WRITE_MEMORY.

    Parameters
    ----------
    number : int
        Number of the memory on the link.
    row : int
        First row.
    tail : bytes
        Bytes of the rows.
    """

    number: int
    row: int
    tail: bytes


class Client:
    """Requests to one device.

    Parameters
    ----------
    transport : AbstractTransport
        Link to the device; :meth:`close` closes it.
    health : Health, optional
        Whose `retries` count repeated requests.

    Raises
    ------
    SilentLinkError
        From every request, if :data:`ATTEMPTS` attempts brought no sound answer; the message says
        what was received.
    LinkError
        From every request, if the answer is none of a Pendula, or the transport broke.
    DeviceError
        From every request, if the device refused it.
    """

    def __init__(self, transport: AbstractTransport, health: Health | None = None) -> None:
        self._transport = transport
        self._health = health or Health()
        self._sequence = 0
        self._partial = b""
        self._frames: deque[bytes] = deque()        # that came, and are not yet looked at
        self._errands: deque[Errand] = deque()      # the first may be under way
        self._errand_sequence: int | None = None    # of the one that is

    def close(self) -> None:
        """Close the transport."""
        self._transport.close()

    def move_to(self, transport: AbstractTransport) -> None:
        """Go on over another transport to the same device.

        Sequence numbers go on as well, so that late answers are still told from fresh ones.
        """
        self._transport = transport
        self._partial = b""
        self._frames.clear()
        self.send_on_errands(())

    # Errands

    def send_on_errands(self, errands: Iterable[Errand]) -> None:
        """Have rows written beside the runs to come, in place of what is left of other errands.

        Only for memories that the device executes requests for while it draws.
        """
        self._errands = deque(errands)
        self._errand_sequence = None

    def finish_errands(self) -> None:
        """Write the rows that no run was long enough for."""
        self._errand_sequence = None
        while self._errands:
            errand = self._errands[0]
            self._write_rows(errand)
            self._errands.popleft()

    def _go_on(self) -> None:
        """Send the next errand; again, if it is not known what came of it."""
        self._errand_sequence = None
        if self._errands:
            errand = self._errands[0]
            self._errand_sequence = self._send(
                Opcode.WRITE_MEMORY, errand.number, errand.row, tail=errand.tail)

    def _return(self, status: int) -> None:
        """Note how the errand under way was answered; one that was refused is left to the end."""
        self._errand_sequence = None
        if status == Status.OK:
            self._errands.popleft()
            self._go_on()

    # Requests

    def hello(self, *, attempts: int = ATTEMPTS, cycles: int = 0) -> Hello:
        """Ask who the device is.

        The device may need `cycles` clock cycles before, for what it was told to do last.
        """
        return Hello.decode(self._request(Opcode.HELLO, attempts=attempts, cycles=cycles))

    def read_register(self, name: RegisterName, *, cycles: int = 0) -> int:
        """Return a register as an unsigned 32-bit number.

        The device may need `cycles` clock cycles before, for what it was told to do last.
        """
        body = self._request(Opcode.READ_REGISTER, name, cycles=cycles)
        return struct.unpack(RESPONSE_BODY[Opcode.READ_REGISTER], body)[0]

    def write_register(self, name: RegisterName, value: int) -> None:
        """Write a register, given as an unsigned 32-bit number."""
        self._request(Opcode.WRITE_REGISTER, name, value)

    def write_memory(self, number: int, rows: Iterable[bytes]) -> None:
        """Write rows of equal length from row 0 up, as many to a request as fit."""
        for errand in errands(number, rows):
            self._write_rows(errand)

    def _write_rows(self, errand: Errand) -> None:
        self._request(Opcode.WRITE_MEMORY, errand.number, errand.row, tail=errand.tail,
                      cycles=len(errand.tail))

    def checksum(self, number: int, rows: int, row_bytes: int) -> int:
        """Return the CRC-32 of the bytes of the rows from 0 up."""
        body = self._request(Opcode.CHECKSUM, number, 0, rows, cycles=rows * (row_bytes + 8))
        return struct.unpack(RESPONSE_BODY[Opcode.CHECKSUM], body)[0]

    def read_memory(self, number: int, rows: int, row_bytes: int) -> bytes:
        """Return the bytes of the rows from 0 up."""
        chunk = max(1, _READ_BYTES // row_bytes)
        parts = []
        for row in range(0, rows, chunk):
            count = min(chunk, rows - row)
            parts.append(self._request(
                Opcode.READ_MEMORY, number, row, count, body_bytes=count * row_bytes,
                cycles=count * (2 * row_bytes + 8)))
        return b"".join(parts)

    def forces(self, segment: int, values_bytes: int, cycles: int) -> bytes:
        """Return the values of one force vector; arguments as in :meth:`run`."""
        values = {}
        tally = _Tally()
        for _ in range(ATTEMPTS):
            sequence = self._send(Opcode.FORCES, segment)
            self._collect(Opcode.FORCES, sequence, range(segment, segment + 1), values_bytes,
                          cycles, values.__setitem__, tally)
            if values:
                return values[segment]
            self._health.retries += 1
        raise self._silence(Opcode.FORCES, tally)

    def run(self, indices: range, values_bytes: int, cycles: int,
            deliver: Callable[[int, bytes], None], *, repeatable: bool = True,
            check: Callable[[], None] = lambda: None) -> RunCounters:
        """Draw samples; what is lost or damaged is asked for again.

        Parameters
        ----------
        indices : range
            Sample indices, consecutive.
        values_bytes : int
            Bytes of a sample's values.
        cycles : int
            Clock cycles that the device may need for one sample.
        deliver : callable
            Called once for every sample, with its index and values, in no certain order.
        repeatable : bool
            Whether the device may be asked again: not where a sample starts at the final state
            of the sample before.
        check : callable
            Called before every attempt, and once it is known that there is none to follow. It
            raises an error where the device is not to be asked, or was not.

        Returns
        -------
        RunCounters
            Counters of exactly these samples.
        """
        missing = set(indices)
        counters = None
        fruitless = 0
        tally = _Tally()

        def accept(index: int, values: bytes) -> None:
            if index in missing:
                missing.remove(index)
                deliver(index, values)

        while counters is None or missing:
            wanted = _first_run(missing) if counters else indices
            before = len(missing)
            check()
            sequence = self._send(Opcode.RUN, wanted.start, len(wanted))
            heard = self._collect(Opcode.RUN, sequence, wanted, values_bytes, cycles, accept,
                                  tally)
            if not repeatable:
                self._refuse_repeats(sequence, cycles)
            if heard and counters is None:      # the device has drawn all of `indices`
                counters = RunCounters(self.read_register(RegisterName.SATURATIONS),
                                       self.read_register(RegisterName.CYCLES))
            if missing and not repeatable:
                raise LinkError(f"sample {min(missing)} was lost on the link, and it cannot be "
                                f"drawn again because the next one started from it: {tally}. "
                                "Load the program again")
            fruitless = 0 if len(missing) < before else fruitless + 1
            if fruitless == ATTEMPTS:
                raise self._silence(Opcode.RUN, tally)
            self._health.retries += bool(missing)
        check()
        return counters

    def _refuse_repeats(self, sequence: int, cycles: int) -> None:
        """Notice a request that the device has executed twice, for the link repeated it."""
        tally = _Tally()
        following = self._send(Opcode.HELLO)
        for found, _, _ in self._sound_answers(cycles, tally):
            if found == sequence:
                raise LinkError("a request was repeated on the link, and the chain has moved on: "
                                "load the program again")
            if found == following:
                return

    def measure(self, indices: range, cycles: int, *, repeatable: bool = True,
                check: Callable[[], None] = lambda: None) -> RunCounters:
        """Draw samples into the sums of the device; it sends none of them.

        Parameters
        ----------
        indices : range
            Sample indices, consecutive.
        cycles : int
            Clock cycles that the device may need for all of them.
        repeatable, check
            As in :meth:`run`.
        """
        try:
            self._request(Opcode.RUN, indices.start, len(indices), cycles=cycles,
                          attempts=ATTEMPTS if repeatable else 1, check=check)
        except SilentLinkError as error:
            if repeatable:
                raise
            raise LinkError("it is unknown whether samples were drawn, and they cannot be drawn "
                            "again because each starts from the one before. Load the program "
                            f"again: {error}") from error
        if not repeatable:
            self._refuse_repeats(self._sequence, cycles)
        return RunCounters(self.read_register(RegisterName.SATURATIONS),
                           self.read_register(RegisterName.CYCLES))

    # Attempts

    def _request(self, opcode: Opcode, *arguments: int, tail: bytes = b"", cycles: int = 0,
                 attempts: int = ATTEMPTS, body_bytes: int | None = None,
                 check: Callable[[], None] = lambda: None) -> bytes:
        """Return the body of the OK answer; of `body_bytes`, or as many as its opcode has."""
        tally = _Tally()
        size = _OK_BODY_BYTES[opcode] if body_bytes is None else body_bytes
        for _ in range(attempts):
            check()
            sequence = self._send(opcode, *arguments, tail=tail)
            for status, body in self._answers(sequence, cycles, tally):
                if status == Status.OK and size in (None, len(body)):
                    return body
                _raise_refusal(opcode, status)
                tally.foreign += 1
            self._health.retries += 1
        raise self._silence(opcode, tally, attempts)

    def _collect(self, opcode: Opcode, sequence: int, indices: range, values_bytes: int,
                 cycles: int, deliver: Callable[[int, bytes], None], tally: _Tally) -> bool:
        """Deliver the DATA answers to one attempt, and return whether any answer came."""
        heard = False
        for status, body in self._answers(sequence, cycles + values_bytes, tally):
            _raise_refusal(opcode, status)
            heard = True
            if status == Status.OK:
                break
            index = int.from_bytes(body[:INDEX_BYTES], "little")
            if len(body) == INDEX_BYTES + values_bytes and index in indices:
                deliver(index, body[INDEX_BYTES:])
            else:
                tally.foreign += 1
        return heard

    def _send(self, opcode: Opcode, *arguments: int, tail: bytes = b"") -> int:
        self._sequence = (self._sequence + 1) & 0xFF
        packet = encode_request(self._sequence, opcode, *arguments, tail=tail)
        self._transport.write(cobs.encode(packet) + b"\0")
        sequence = self._sequence
        if opcode is Opcode.RUN:
            self._go_on()
        return sequence

    def _answers(self, sequence: int, cycles: int, tally: _Tally) -> Iterator[tuple[int, bytes]]:
        """Yield status and body of the sound answers to one attempt until the link is silent."""
        for found, status, body in self._sound_answers(cycles, tally, sequence):
            if found == sequence:
                yield status, body
            elif found == self._errand_sequence:
                self._return(status)
            else:
                tally.foreign += 1

    def _sound_answers(self, cycles: int, tally: _Tally,
                       sequence: int | None = None) -> Iterator[tuple[int, int, bytes]]:
        """Yield sound answers until the link is silent, or all is noise but those to `sequence`."""
        noise = 0
        while noise <= _NOISE_BYTES:
            while self._frames:
                answer = _decode_frame(self._frames.popleft())
                if answer is None:
                    tally.damaged += 1
                    continue
                if answer[0] == sequence:
                    noise = 0
                yield answer
            data = self._transport.read(cycles)
            if not data:
                return
            tally.add(data)
            noise += len(data)
            self._frames += self._split(data)

    def _split(self, data: bytes) -> list[bytes]:
        """Return the frames that `data` ends; keep the beginning of the next one."""
        *frames, rest = (self._partial + data).split(b"\0")
        self._partial = rest if len(rest) <= _NOISE_BYTES else b""
        return [frame for frame in frames if frame]

    def _silence(self, opcode: Opcode, tally: _Tally,
                 attempts: int = ATTEMPTS) -> SilentLinkError:
        return SilentLinkError(
            f"device gave no sound answer to {opcode.name} in {attempts} attempts: {tally}. "
            "Check the cable, the clock rate and that it is a Pendula")


def errands(number: int, rows: Iterable[bytes]) -> Iterator[Errand]:
    """Yield what writes rows of equal length from row 0 up, as many to a request as fit."""
    rows = list(rows)
    room = MAX_REQUEST_BYTES - HEADER_BYTES - struct.calcsize(ARGUMENTS[Opcode.WRITE_MEMORY])
    chunk = room // len(rows[0])
    for row in range(0, len(rows), chunk):
        yield Errand(number, row, b"".join(rows[row:row + chunk]))


def _decode_frame(frame: bytes) -> tuple[int, int, bytes] | None:
    """Return sequence, status and body of a frame, or None if it is damaged."""
    try:
        return decode_response(cobs.decode(frame))
    except cobs.DecodeError:
        return None


def _raise_refusal(opcode: Opcode, status: int) -> None:
    if status in (Status.OK, Status.DATA):
        return
    names = {known.value: known.name for known in Status}
    name = names.get(status, "an unknown status")
    raise DeviceError(f"device refused {opcode.name}: {name} (0x{status:02x})", status)


def _first_run(missing: set[int]) -> range:
    """Return the first run of consecutive numbers."""
    start = stop = min(missing)
    while stop in missing:
        stop += 1
    return range(start, stop)
