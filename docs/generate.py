"""Write docs/reference/ from the code; with --check, say whether it is up to date.

    python docs/generate.py [--check]
"""

import inspect
import re
import struct
import sys
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

from ais_page import ais_page
from boards_page import boards_page
from cli_page import cli_page
from noise_page import noise_page
from pendula.contract import PHYSICS, ArraySpec, InitialState, protocol, registers, statistics
from pendula.contract.memory import BUFFER_BIT, BUFFERED, Memory, memory_layouts
from pendula.contract.physics import FUNCTIONS

FOLDER = Path(__file__).parent / "reference"
EXAMPLE_NODES = 144
EXAMPLE_OFFSETS = tuple(offset for offset in range(-12, 13) if offset)
HEAD = "<!-- Written by docs/generate.py. Do not edit. -->\n\n"


def example_spec(physics: str) -> ArraySpec:
    """Return the array that the tables describe: default formats, 24 neighbours."""
    return ArraySpec(physics=PHYSICS[physics], nodes=EXAMPLE_NODES, offsets=EXAMPLE_OFFSETS)


def table(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """Return a Markdown table."""
    header = list(header)
    lines = [header, ["---"] * len(header), *(list(row) for row in rows)]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def remarks(source: type | ModuleType, pattern: str) -> dict[str, str]:
    """Return the comments at the ends of the lines of `source` that match, by the first group."""
    lines = inspect.getsource(source).splitlines()
    found = (re.match(rf"\s*{pattern}.*?#\s*(.+)$", line) for line in lines)
    return {match[1]: match[2] for match in found if match}


def type_name(width: int, *, signed: bool) -> str:
    """Return the name of an integer type."""
    return f"{'signed' if signed else 'unsigned'} {width}"


# Pages

def registers_page() -> str:
    """Return the register map."""
    rows = [(r.name.value, r.name.name, r.access, type_name(r.width, signed=r.signed),
             f"{r.reset:#x}" if r.reset > 9 else r.reset, r.doc) for r in registers.REGISTERS]
    flags = remarks(registers.Readout, r"(\w+) = \d+")
    starts = remarks(InitialState, r"(\w+) = \d+")
    commands = remarks(registers.JitterCommand, r"(\w+) = \d+")
    statuses = remarks(registers.JitterStatus, r"(\w+) = \d+")
    return f"""# Registers

Every register is {registers.REGISTER_BITS} bits wide on the link, little-endian. The device keeps
the low bits that the type names; reads extend them by the sign where the type is signed. Writing a
read-only register answers BAD_ADDRESS.

{table(("address", "name", "access", "type", "reset", "meaning"), rows)}
## INITIAL

{table(("value", "name", "meaning"),
       [(s.value, s.name, starts[s.name]) for s in InitialState])}
## READOUT

{table(("bit", "name", "meaning"),
       [(f.value.bit_length() - 1, f.name, flags[f.name or ""]) for f in registers.Readout])}
## JITTER_COMMAND

Read, it gives what was written last. [Seeding from jitter](../jitter.md) explains.

{table(("value", "name", "meaning"),
       [(c.value, c.name, commands[c.name]) for c in registers.JitterCommand])}
## JITTER_STATUS

{table(("bit", "name", "meaning"),
       [(s.value.bit_length() - 1, s.name, statuses[s.name or ""])
        for s in registers.JitterStatus])}"""


def protocol_page() -> str:
    """Return the opcodes, status codes and the HELLO record."""
    opcode = r"Opcode\.(\w+): \"<[^\"]*\","
    source = inspect.getsource(protocol)
    before, after = source.split("RESPONSE_BODY:")
    arguments, bodies = ({m[1]: m[2] for m in re.finditer(opcode + r"\s*# (.+)", part)}
                         for part in (before, after))
    rows = [(f"{op.value:#04x}", op.name,
             struct.calcsize(protocol.ARGUMENTS[op]), arguments.get(op.name, "none"),
             bodies.get(op.name, "the record below" if op is protocol.Opcode.HELLO else "none"))
            for op in protocol.Opcode]
    statuses = remarks(protocol.Status, r"(\w+) = \w+")
    sizes = [struct.calcsize("<" + code) for code in re.findall(r"\d*[a-zA-Z]",
                                                                protocol.Hello.FORMAT)]
    names = ["magic", *(field.name for field in fields(protocol.Hello))]
    places = [sum(sizes[:k]) for k in range(len(sizes))]
    hello = [(place, size, name) for place, size, name in zip(places, sizes, names, strict=True)]
    description = (protocol.__doc__ or "").split("\n\n", 1)[1].rstrip()
    return f"""# Link protocol, version {protocol.VERSION}

{description}

A request holds at most {protocol.MAX_REQUEST_BYTES} bytes before its CRC. Only WRITE_MEMORY has a
tail: whole rows. Where it is refused because its tail ends within a row, or beyond the last row,
the rows before are written. A RUN is refused with BAD_VALUE where SEGMENTS is zero or more than the
device has.

## What the CRC notices

Every pattern of fewer flipped bits than the Hamming distance is noticed, in contents up to a
length; in longer ones up to 2**32 bits every pattern of 2. So is every burst within 32 bits, and of
other damage all but one in 2**32.

{table(("distance", "bytes of content, at most"), protocol.CRC_DISTANCES)}
These are bits of the content. On the wire, a flipped bit in a COBS block's code moves the bytes
behind it, and one that makes a zero cuts the frame in two: there one in 2**32 counts.
Tests flip every pair of bits of a short frame on the wire.

## Requests

{table(("opcode", "name", "bytes of arguments", "arguments", "body of OK"), rows)}
The body of a DATA response is an index of {protocol.INDEX_BYTES} bytes, then the values of the
read-out nodes in ascending order: pixels of one byte, or raw states or forces of whole bytes,
sign-extended.

## Status codes

{table(("code", "name", "meaning"),
       [(f"{s.value:#04x}", s.name, statuses[s.name]) for s in protocol.Status])}
## HELLO

The magic is `{protocol.MAGIC.decode()}`. The ids are the first bytes of the SHA-256 digests of
contract, array spec and build. A host refuses a device with another version, contract or spec.

{table(("byte", "bytes", "field"), hello)}"""


def formats_page() -> str:
    """Return the number formats, full scales and accumulators of every physics."""
    parts = [f"""# Number formats

Figures for the default formats, {EXAMPLE_NODES} nodes and {len(EXAMPLE_OFFSETS)} neighbours.
`SQi.f` is a two's complement number of i integer bits (sign included) and f fraction bits.
There is one rounding a step, half up, after the noise is added; then the overflow rule.
Phases of `kuramoto` are in half turns. Codes, gains and table entries are symmetric about zero.
"""]
    for name in PHYSICS:
        spec = example_spec(name)
        terms = (spec.coupling_term, *spec.local_terms, spec.noise_term)
        columns = [(column, function, width, FUNCTIONS[function].reach)
                   for column, (function, width) in spec.columns.items()]
        parts.append(f"""
## {name}

State `{spec.state}`; couples through {" + ".join(
    f"u{r} v{r}" if spec.physics.u else f"v{r}" for r in range(spec.physics.rank))}.

{table(("table column", "function", "bits", "magnitude of the largest entry"), columns)}
{table(("term", "codes", "fraction bits of the gain", "change of x a step, all factors 1"),
       [(t.name, f"{t.code.lo}..{t.code.hi}", t.gain_f_bits, f"{t.unit_val:.4g}") for t in terms])}
{table(("accumulator", "from", "to", "bits"),
       [(key, i.lo, i.hi, i.signed_bits) for key, i in spec.accumulators.items()])}
Drift and total have {spec.drift_f_bits} fraction bits below one raw unit of the state: a force of 1
is a change of {spec.force_unit_val:.4g} a step.
""")
    return "".join(parts)


def memories_page() -> str:
    """Return the layout of every memory."""
    meanings = remarks(Memory, r"(\w+) = \d+")
    parts = ["""# Memories

A row is a little-endian integer of whole bytes; its first field starts at bit 0 and items of one
field follow each other upwards. Bits above the last field are not kept, and read as zero. A segment
of 0 steps has 65,536, which no program asks for, and a memory after power-up does. Figures for the
default formats and """
             f"{len(EXAMPLE_OFFSETS)} neighbours.\n\n"
             f"A device with two buffers has {', '.join(m.name for m in BUFFERED[:-1])} and "
             f"{BUFFERED[-1].name} twice. Bit\n{BUFFER_BIT} of the number on the link says which "
             "one is meant, the register BUFFER which one\nsamples and forces read.\n"]
    for memory in Memory:
        parts.append(f"\n## {memory.value} {memory.name}\n\nHolds {meanings[memory.name]}.\n")
        for name in PHYSICS if memory is Memory.TABLE else ("kuramoto",):
            layout = memory_layouts(example_spec(name))[memory]
            rows = [(field.name, position, field.count,
                     type_name(field.width, signed=field.signed))
                    for field, position in layout.places()]
            title = f"`{name}`, " if memory is Memory.TABLE else ""
            parts.append(f"\n{title}{layout.width} bits, {layout.row_bytes} bytes a row.\n\n"
                         + table(("field", "first bit", "items", "type"), rows))
        if memory is Memory.MEASUREMENT:
            parts.append("\n" + kinds_table())
    return "".join(parts)


def kinds_table() -> str:
    """Return the kinds of measurements."""
    adds = remarks(statistics.Kind, r"(\w+) = \d+")
    return ("A measurement has the sums that follow those of the measurement before: one, or "
            "2**BIN_BITS for a histogram.\n\n"
            + table(("kind", "name", "adds"), [(k.value, k.name, adds[k.name])
                                               for k in statistics.Kind]))


PAGES = {
    "registers.md": registers_page,
    "protocol.md": protocol_page,
    "formats.md": formats_page,
    "memories.md": memories_page,
    "noise.md": lambda: noise_page(table),
    "boards.md": lambda: boards_page(table),
    "cli.md": cli_page,
    "ais.md": lambda: ais_page(table),
}


def main(arguments: list[str]) -> int:
    """Write the pages, or compare them with the files."""
    pages = {FOLDER / name: HEAD + page().rstrip() + "\n" for name, page in PAGES.items()}
    if arguments == ["--check"]:
        stale = [path.name for path, text in pages.items()
                 if not path.exists() or path.read_text() != text]
        if stale:
            sys.stderr.write(f"docs/reference is out of date: {', '.join(stale)}; "
                             "run python docs/generate.py\n")
        return int(bool(stale))
    if arguments:
        sys.stderr.write(f"the only argument is --check, not {' '.join(arguments)}\n")
        return 2
    FOLDER.mkdir(exist_ok=True)
    for path, text in pages.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
