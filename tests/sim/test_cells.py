"""Our models of vendor cells equal plain Python ones, and what they do not model is refused."""

from collections.abc import Callable, Mapping
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any

import pytest
from amaranth import *
from amaranth.back import verilog
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from pendula.errors import BuildError
from pendula_gateware.fabric import ECP5
from pendula_gateware.interfaces import ByteStream
from pendula_gateware.numeric.multiply import product_latency
from pendula_gateware.top import Flat
from pendula_sim import build
from pendula_sim.compiler import find_compiler
from pendula_sim.design import Options
from pendula_sim.verilator import VerilatorEngine
from products import Product

MODELS = Path(build.__file__).with_name("cells") / "ecp5.v"
STEPS = 1500
NETLIST = Options(netlist=True)

Pins = dict[str, int]


def pins(prefix: str, width: int) -> tuple[str, ...]:
    return tuple(f"{prefix}{index}" for index in range(width))


def vector(values: Mapping[str, int], prefix: str, width: int) -> int:
    return sum(values[pin] << index for index, pin in enumerate(pins(prefix, width)))


def spread(prefix: str, width: int, value: int) -> Pins:
    return {pin: value >> index & 1 for index, pin in enumerate(pins(prefix, width))}


class Bench(wiring.Component):
    """Cells with the same inputs: a frame of bytes sets the inputs, and outputs come back.

    Parameters
    ----------
    cell : str
        Name of the cell.
    variants : list of dict
        Parameters of each copy of the cell.
    inputs, outputs : dict of int
        Widths of the cell's pins.
    """

    i: stream.Interface
    o: stream.Interface
    busy: Signal

    def __init__(self, cell: str, variants: list[dict[str, Any]], inputs: Mapping[str, int],
                 outputs: Mapping[str, int]) -> None:
        self.cell, self.variants, self.inputs, self.outputs = cell, variants, inputs, outputs
        self.frame_bytes = -(-sum(inputs.values()) // 8)
        self.answer_bytes = -(-sum(outputs.values()) * len(variants) // 8)
        super().__init__({"i": In(ByteStream), "o": Out(ByteStream), "busy": Out(1)})

    def elaborate(self, platform):
        m = Module()
        given = Signal(8 * self.frame_bytes)
        applied, answer = Signal.like(given), Signal(8 * self.answer_bytes)
        drive, start = {}, 0
        for name, width in self.inputs.items():
            drive[f"i_{name}"] = applied[start:start + width]
            start += width
        read = []
        for index, parameters in enumerate(self.variants):
            out = {f"o_{name}": Signal(width) for name, width in self.outputs.items()}
            m.submodules[f"cell_{index}"] = Instance(
                self.cell, **{f"p_{name}": value for name, value in parameters.items()},
                **drive, **out)
            read += out.values()
        left = Signal(range(max(self.frame_bytes, self.answer_bytes)), init=self.frame_bytes - 1)
        with m.FSM() as fsm:
            with m.State("COLLECT"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid):
                    m.d.sync += [given.eq(Cat(given, self.i.payload) >> 8), left.eq(left - 1)]
                    with m.If(left == 0):
                        m.next = "APPLY"
            with m.State("APPLY"):
                m.d.sync += applied.eq(given)
                m.next = "SETTLE"
            with m.State("SETTLE"):
                m.d.sync += [answer.eq(Cat(read)), left.eq(self.answer_bytes - 1)]
                m.next = "SEND"
            with m.State("SEND"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.d.sync += [answer.eq(answer >> 8), left.eq(left - 1)]
                    with m.If(left == 0):
                        m.d.sync += left.eq(self.frame_bytes - 1)
                        m.next = "COLLECT"
            m.d.comb += [self.o.payload.eq(answer), self.busy.eq(~fsm.ongoing("COLLECT"))]
        return m

    def verilate(self, folder: Path, *sources: Path) -> None:
        source = folder / "top.v"
        source.write_text(verilog.convert(Flat(self), name="top", emit_src=False))
        build._verilate([str(source), str(MODELS), *map(str, sources)], folder, NETLIST)

    def run(self, folder: Path, frames: list[Pins], *sources: Path) -> list[list[Pins]]:
        """Return the outputs of all variants after each frame."""
        self.verilate(folder, *sources)
        build._compile(find_compiler(), folder / "library", NETLIST)
        engine = VerilatorEngine(folder / "library")
        answers = [self._decode(engine.exchange(self._encode(frame), 10_000).output)
                   for frame in frames]
        engine.close()
        return answers

    def _encode(self, frame: Pins) -> bytes:
        value, start = 0, 0
        for name, width in self.inputs.items():
            value |= frame[name] << start
            start += width
        return value.to_bytes(self.frame_bytes, "little")

    def _decode(self, answer: bytes) -> list[Pins]:
        assert len(answer) == self.answer_bytes
        value, variants = int.from_bytes(answer, "little"), []
        for _ in self.variants:
            variants.append({})
            for name, width in self.outputs.items():
                variants[-1][name] = value & (1 << width) - 1
                value >>= width
        return variants


# Block memory

RAM_INPUTS = dict.fromkeys(chain.from_iterable(
    (*pins(f"DI{port}", 18), *pins(f"AD{port}", 14), *pins(f"CS{port}", 3),
     f"CE{port}", f"OCE{port}", f"CLK{port}", f"WE{port}", f"RST{port}") for port in "AB"), 1)
RAM_OUTPUTS = dict.fromkeys((*pins("DOA", 18), *pins("DOB", 18)), 1)
ROWS = [Random(row).getrandbits(320) for row in range(64)]
FILLED = {f"INITVAL_{row:02X}": Const(value, 320) for row, value in enumerate(ROWS)}


def ram(width_a: int, width_b: int, **parameters: str) -> dict[str, Any]:
    return {"DATA_WIDTH_A": width_a, "DATA_WIDTH_B": width_b, **parameters}


RAMS = [
    ram(18, 18, WRITEMODE_A="READBEFOREWRITE", WRITEMODE_B="WRITETHROUGH"),
    ram(9, 9, WRITEMODE_B="READBEFOREWRITE", RESETMODE="ASYNC", ASYNC_RESET_RELEASE="ASYNC"),
    ram(4, 2, WRITEMODE_A="WRITETHROUGH", CLKAMUX="INV"),
    ram(1, 9, WRITEMODE_A="READBEFOREWRITE", CLKBMUX="INV"),
    ram(2, 18, WRITEMODE_B="WRITETHROUGH", RESETMODE="ASYNC", ASYNC_RESET_RELEASE="ASYNC"),
    ram(36, 36),
    ram(36, 18, CLKBMUX="INV"),
    ram(9, 36, RESETMODE="ASYNC", ASYNC_RESET_RELEASE="ASYNC"),
]


class RamPort:
    """One port of a memory of bytes of nine bits."""

    def __init__(self, memory: list[int], parameters: dict[str, Any], name: str) -> None:
        self.memory, self.name = memory, name
        self.width = parameters[f"DATA_WIDTH_{name}"]
        self.mode = parameters.get(f"WRITEMODE_{name}", "NORMAL")
        self.asynchronous = parameters.get("RESETMODE") == "ASYNC"
        self.inverted = parameters.get(f"CLK{name}MUX") == "INV"
        self.only_reads = name == "B" and self.width == 36
        self.clock = False
        self.latch = 0

    def bits(self, address: int) -> list[tuple[int, int, bool]]:
        """Return the byte, the bit in it and whether it is enabled, for each bit of a word."""
        if self.width <= 9:
            low = address & {1: 7, 2: 6, 4: 4, 9: 0}[self.width]
            return [(address >> 3, low + bit, True) for bit in range(self.width)]
        count = self.width // 9
        first = (address >> {18: 4, 36: 5}[self.width]) * count
        return [(first + bit // 9, bit % 9, bool(address >> bit // 9 & 1))
                for bit in range(self.width)]

    def look(self, address: int) -> int:
        return sum((self.memory[byte] >> bit & 1) << place
                   for place, (byte, bit, _) in enumerate(self.bits(address)))

    def edge(self, frame: Pins) -> Callable[[], None]:
        """Note a frame; return what happens after both ports have looked."""
        name, clock = self.name, bool(frame[f"CLK{self.name}"])
        rising = clock != self.clock and clock != self.inverted
        self.clock = clock
        reset, address = frame[f"RST{name}"], vector(frame, f"AD{name}", 14)
        active = rising and frame[f"CE{name}"] and not vector(frame, f"CS{name}", 3)
        write = bool(frame[f"WE{name}"]) and not self.only_reads
        before = self.look(address)
        data = vector(frame, f"DI{name}", 18)
        if self.width == 36:
            data |= vector(frame, "DIB", 18) << 18

        def act() -> None:
            if active and write and (self.asynchronous or not reset):
                for place, (byte, bit, enabled) in enumerate(self.bits(address)):
                    if enabled:
                        kept = self.memory[byte] & ~(1 << bit)
                        self.memory[byte] = kept | (data >> place & 1) << bit
            if reset and (rising or self.asynchronous):
                self.latch = 0
            elif active and not (write and self.mode == "NORMAL"):
                through = write and self.mode == "WRITETHROUGH"
                self.latch = self.look(address) if through else before
        return act


class RamModel:
    """Both ports of a memory."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        words = [row >> 20 * word & (1 << 18) - 1 for row in ROWS for word in range(16)]
        memory = [word >> shift & 511 for word in words for shift in (0, 9)]
        self.ports = [RamPort(memory, parameters, name) for name in "AB"]

    def step(self, frame: Pins) -> Pins:
        acts = [port.edge(frame) for port in self.ports]
        for act in acts:
            act()
        a, b = self.ports
        out = spread("DOB", 18, b.latch)
        if b.width == 36:
            return spread("DOA", 18, b.latch) | spread("DOB", 18, b.latch >> 18)
        return out if a.width == 36 else out | spread("DOA", 18, a.latch)


def ram_frames(rng: Random) -> list[Pins]:
    """Change all but the clocks, then some clocks; ports that are clocked at once do not meet."""
    frame = dict.fromkeys(RAM_INPUTS, 0)
    frames = []
    for _ in range(STEPS):
        clocks = rng.choice([("A",), ("B",), ("A", "B")])
        few = rng.getrandbits(14) & 0b00_0001_1111_1111
        for port in "AB":
            frame |= spread(f"DI{port}", 18, rng.getrandbits(18))
            frame |= spread(f"AD{port}", 14, (few if rng.random() < 0.7 else rng.getrandbits(14))
                            & 0x1FFF | (port == clocks[-1]) << 13)
            frame |= spread(f"CS{port}", 3, rng.random() < 0.1 and rng.getrandbits(3))
            frame |= {f"CE{port}": rng.random() < 0.9, f"WE{port}": rng.random() < 0.5,
                      f"RST{port}": rng.random() < 0.05, f"OCE{port}": rng.getrandbits(1)}
        frames.append(dict(frame))
        for port in clocks:
            frame[f"CLK{port}"] ^= 1
        frames.append(dict(frame))
    return frames


@pytest.mark.verilator
def test_block_memory(tmp_path):
    bench = Bench("pendula_DP16KD", [variant | FILLED for variant in RAMS], RAM_INPUTS, RAM_OUTPUTS)
    frames = ram_frames(Random(1))
    answers = bench.run(tmp_path, frames)
    for index, variant in enumerate(RAMS):
        model = RamModel(variant)
        for number, (frame, answer) in enumerate(zip(frames, answers, strict=True)):
            expected = model.step(frame)
            assert {pin: answer[index][pin] for pin in expected} == expected, (variant, number)


# Multiplier

FACTORS = [*pins("A", 18), *pins("B", 18)]
MULTIPLIER_INPUTS = dict.fromkeys(
    [*FACTORS, *pins("C", 18), "SIGNEDA", "SIGNEDB", "SOURCEA", "SOURCEB"], 1)
MULTIPLIER_OUTPUTS = dict.fromkeys(pins("P", 36), 1)
EXTREMES = (0, 1, (1 << 17) - 1, 1 << 17, (1 << 17) + 1, (1 << 18) - 1)


def product_frames(rng: Random) -> list[Pins]:
    pairs = [(a, b) for a in EXTREMES for b in EXTREMES]
    pairs += [(rng.getrandbits(18), rng.getrandbits(18)) for _ in range(200)]
    return [dict.fromkeys(MULTIPLIER_INPUTS, 0) | spread("A", 18, a) | spread("B", 18, b)
            | {"SIGNEDA": signed_a, "SIGNEDB": signed_b}
            for a, b in pairs for signed_a in (0, 1) for signed_b in (0, 1)]


def factor(frame: Pins, name: str) -> int:
    value = vector(frame, name, 18)
    return value - (1 << 18) if frame[f"SIGNED{name}"] and value >> 17 else value


@pytest.mark.verilator
def test_multiplier(tmp_path):
    bench = Bench("pendula_MULT18X18D", [{}], MULTIPLIER_INPUTS, MULTIPLIER_OUTPUTS)
    frames = product_frames(Random(2))
    for frame, answer in zip(frames, bench.run(tmp_path, frames), strict=True):
        product = factor(frame, "A") * factor(frame, "B")
        assert vector(answer[0], "P", 36) == product % (1 << 36), frame


REGISTERED = dict.fromkeys(
    ("REG_INPUTA_CLK", "REG_INPUTB_CLK", "REG_OUTPUT_CLK"), "CLK0")
CONTROLS = ("CLK0", "CE0", "RST0")


@pytest.mark.verilator
def test_registers_of_the_multiplier(tmp_path):
    variants = [REGISTERED, REGISTERED | {"REG_PIPELINE_CLK": "CLK0"}]
    bench = Bench("pendula_MULT18X18D", variants,
                  MULTIPLIER_INPUTS | dict.fromkeys(CONTROLS, 1), MULTIPLIER_OUTPUTS)
    rng = Random(4)
    frames = []
    for frame in product_frames(rng):
        frame |= {"CE0": rng.random() < 0.9, "RST0": rng.random() < 0.05}
        frames += [frame | {"CLK0": 0}, frame | {"CLK0": 1}]
    answers = bench.run(tmp_path, frames)
    for variant, behind in enumerate((1, 2)):
        kept = [0] * behind                     # products of the factors kept, and those behind
        factors = 0, 0
        for frame, answer in zip(frames, answers, strict=True):
            if frame["CLK0"]:
                if frame["RST0"]:
                    kept, factors = [0] * behind, (0, 0)
                elif frame["CE0"]:
                    kept = [factors[0] * factors[1], *kept[:-1]]
                    factors = factor(frame, "A"), factor(frame, "B")
            assert vector(answer[variant], "P", 36) == kept[-1] % (1 << 36), frame


@pytest.mark.verilator
@pytest.mark.parametrize(("a_bits", "b_bits"), [(7, 18), (25, 16), (40, 24)])
def test_products_of_cells(tmp_path, a_bits, b_bits):
    product, rng = Product(a_bits, b_bits, ECP5.synthesised), Random(a_bits)
    text = verilog.convert(product, name="product", emit_src=False)
    source = tmp_path / "product.v"
    source.write_text(text.replace("MULT18X18D", "pendula_MULT18X18D"))
    bench = Bench("product", [{}], {"a": a_bits, "b": b_bits, "clk": 1, "rst": 1},
                  {"o": a_bits + b_bits})
    factors = [tuple(rng.choice((-1 << bits - 1, (1 << bits - 1) - 1, -1,
                                 rng.randrange(-1 << bits - 1, 1 << bits - 1)))
                     for bits in (a_bits, b_bits)) for _ in range(200)]
    frames = [{"a": a % (1 << a_bits), "b": b % (1 << b_bits), "clk": clk, "rst": 0}
              for a, b in factors for clk in (0, 1)]
    products = [answer[0]["o"] for answer in bench.run(tmp_path, frames, source)[1::2]]
    before = product_latency(a_bits, b_bits, ECP5) - 1      # seen behind a cycle, not before it
    assert products[before:] == [
        a * b % (1 << a_bits + b_bits) for a, b in factors[:len(factors) - before]]


# Memory in look-up tables

LUT_RAM_INPUTS = {"DI": 4, "WAD": 4, "RAD": 4, "WCK": 1, "WRE": 1}
INITIAL = 0xFEDC_BA98_7654_3210


@pytest.mark.verilator
def test_memory_in_lookup_tables(tmp_path):
    variants = [{"INITVAL": Const(INITIAL, 64), "WCKMUX": clock, "WREMUX": "WRE"}
                for clock in ("WCK", "INV")]
    bench = Bench("pendula_TRELLIS_DPR16X4", variants, LUT_RAM_INPUTS, {"DO": 4})
    rng = Random(3)
    frames = [dict.fromkeys(LUT_RAM_INPUTS, 0)
              | {"RAD": word} for word in range(16)]
    for _ in range(STEPS):
        data = {name: rng.getrandbits(LUT_RAM_INPUTS[name]) for name in ("DI", "WAD", "RAD", "WRE")}
        clock = frames[-1]["WCK"]
        frames += [data | {"WCK": clock}, data | {"WCK": 1 - clock}]
    answers = bench.run(tmp_path, frames)
    for index, active in enumerate((1, 0)):
        memory, clock = [INITIAL >> 4 * word & 15 for word in range(16)], 0
        for frame, answer in zip(frames, answers, strict=True):
            if frame["WCK"] != clock and frame["WCK"] == active and frame["WRE"]:
                memory[frame["WAD"]] = frame["DI"]
            clock = frame["WCK"]
            assert answer[index]["DO"] == memory[frame["RAD"]]


# What is not modelled

@pytest.mark.verilator
@pytest.mark.parametrize(("parameters", "message"), [
    ({"REGMODE_A": "OUTREG"}, "DP16KD_mode_without_a_model"),
    ({"REGMODE_B": "OUTREG"}, "DP16KD_mode_without_a_model"),
    ({"CSDECODE_A": "0b001"}, "DP16KD_mode_without_a_model"),
    ({"CSDECODE_B": "0b001"}, "DP16KD_mode_without_a_model"),
    ({"CLKAMUX": "0"}, "DP16KD_mode_without_a_model"),
    ({"CLKBMUX": "1"}, "DP16KD_mode_without_a_model"),
    ({"ASYNC_RESET_RELEASE": "ASYNC"}, "DP16KD_mode_without_a_model"),
    ({"RESETMODE": "NONE", "ASYNC_RESET_RELEASE": "NONE"}, "DP16KD_mode_without_a_model"),
    ({"DATA_WIDTH_A": 3}, "DP16KD_mode_without_a_model"),
    ({"DATA_WIDTH_B": 72}, "DP16KD_mode_without_a_model"),
    ({"WRITEMODE_A": "OTHER"}, "DP16KD_mode_without_a_model"),
    ({"WRITEMODE_B": "OTHER"}, "DP16KD_mode_without_a_model"),
    ({"WEAMUX": "INV"}, "PINNOTFOUND"),
])
def test_modes_of_the_block_memory_without_a_model_are_refused(tmp_path, parameters, message):
    bench = Bench("pendula_DP16KD", [parameters], RAM_INPUTS, RAM_OUTPUTS)
    with pytest.raises(BuildError, match=message):
        bench.verilate(tmp_path)


@pytest.mark.verilator
@pytest.mark.parametrize(("cell", "parameters", "inputs", "message"), [
    ("pendula_MULT18X18D", {"REG_OUTPUT_CLK": "CLK0"}, MULTIPLIER_INPUTS,
     "MULT18X18D_mode_without_a_model"),
    ("pendula_MULT18X18D", REGISTERED | {"REG_OUTPUT_CLK": "CLK1"}, MULTIPLIER_INPUTS,
     "MULT18X18D_mode_without_a_model"),
    ("pendula_MULT18X18D", REGISTERED | {"REG_INPUTB_CE": "CE1"}, MULTIPLIER_INPUTS,
     "MULT18X18D_mode_without_a_model"),
    ("pendula_MULT18X18D", {"REG_INPUTC_CLK": "CLK0"}, MULTIPLIER_INPUTS, "PINNOTFOUND"),
    ("pendula_MULT18X18D", {}, MULTIPLIER_INPUTS | {"SRIA0": 1}, "PINNOTFOUND"),
    ("pendula_TRELLIS_DPR16X4", {"WREMUX": "INV"}, LUT_RAM_INPUTS,
     "TRELLIS_DPR16X4_mode_without_a_model"),
    ("pendula_TRELLIS_DPR16X4", {"WCKMUX": "1"}, LUT_RAM_INPUTS,
     "TRELLIS_DPR16X4_mode_without_a_model"),
    ("ALU54B", {}, {"CLK0": 1}, "ALU54B"),
])
def test_cells_and_pins_without_a_model_are_refused(tmp_path, cell, parameters, inputs, message):
    bench = Bench(cell, [parameters], inputs, {})
    with pytest.raises(BuildError, match=message):
        bench.verilate(tmp_path)
