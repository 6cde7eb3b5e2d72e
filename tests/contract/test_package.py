"""The contract needs the standard library alone, and its id follows every change of meaning."""

import enum
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import pendula
from pendula import contract
from pendula.contract import (
    ARITHMETIC_ID,
    CONTRACT_ID,
    describe_arithmetic,
    describe_contract,
    jitter,
    memory,
    noise,
    protocol,
    registers,
    statistics,
    step,
)
from pendula.contract.digest import digest
from pendula.contract.gaussian import GAUSSIAN_LAW
from pendula.contract.numbers import NumberFormat
from pendula.contract.physics import PHYSICS

IMPORT_ALONE = """
import sys
sys.modules["numpy"] = sys.modules["amaranth"] = None
import pendula.contract
foreign = {name.partition(".")[0] for name, module in sys.modules.items() if module is not None}
foreign -= sys.stdlib_module_names | {"pendula"}
print(*sorted(name for name in foreign if not name.startswith("_")))
"""


def test_contract_imports_nothing_but_the_standard_library() -> None:
    host = Path(pendula.__file__).parents[1]
    script = f"import sys; sys.path.insert(0, {str(host)!r})\n{IMPORT_ALONE}"
    run = subprocess.run([sys.executable, "-S", "-c", script], capture_output=True, text=True,
                         check=True)
    assert run.stdout.strip() == ""


def test_contract_id_is_the_digest_of_the_description() -> None:
    assert digest(describe_contract()) == CONTRACT_ID


Change = Callable[[pytest.MonkeyPatch], None]


def setting(owner: object, name: str, value: object) -> Change:
    return lambda patch: patch.setattr(owner, name, value)


def swap_opcodes(patch: pytest.MonkeyPatch) -> None:
    numbers = {op.name: op.value for op in protocol.Opcode} | {"RUN": 7, "FORCES": 6}
    patch.setattr(protocol, "Opcode", enum.IntEnum("Opcode", numbers))


def floor(form: NumberFormat, raw: int, f_bits: int) -> tuple[int, bool]:
    return form.fit(raw >> f_bits)


LINK: dict[str, Change] = {
    "protocol version": setting(protocol, "VERSION", 2),
    "opcode": swap_opcodes,
    "arguments": lambda patch: patch.setitem(protocol.ARGUMENTS, protocol.Opcode.RUN, "<IH"),
    "number of a buffer": setting(memory, "BUFFER_BIT", 6),
    "status": setting(protocol, "Status", enum.IntEnum("Status", {"OK": 1})),
    "hello": setting(protocol.Hello, "FORMAT", "<4sH"),
    "row layout": setting(memory, "STEPS_BITS", 15),
    "register address": setting(registers, "REGISTERS", registers.REGISTERS[1:]),
    "register width": setting(registers, "REGISTERS", (
        replace(registers.REGISTERS[0], width=31), *registers.REGISTERS[1:])),
    "readout flag": setting(registers, "Readout", enum.IntFlag("Readout", {"PIXEL": 2, "ALL": 1})),
    "jitter command": setting(registers, "JitterCommand", enum.IntEnum("JitterCommand",
                                                                        {"GATHER": 1, "DRAW": 2})),
    "jitter status": setting(registers, "JitterStatus", enum.IntFlag("JitterStatus", {"SEED": 1})),
    "raw bits of a draw": setting(jitter, "RAW_BITS", 4096),
    "window of the proportion test": setting(jitter, "WINDOW_BITS", 512),
    "cut-off of a health test": setting(jitter, "REPETITION_CUTOFF", 41),
    "conditioner": setting(jitter, "TAG", 1),
    "samples of a run that measures": setting(statistics, "RUN_SAMPLES_HI", 1 << 15),
    "kinds of sums": setting(statistics, "Kind", enum.IntEnum(
        "Kind", {"SUM": 0, "SQUARE": 2, "PRODUCT": 1, "HISTOGRAM": 3})),
    "bins": setting(statistics, "bin_of", lambda spec, bin_bits, x: 0),
}
"""Changes of what two sides say to each other, which leave every sample as it is."""

ARITHMETIC: dict[str, Change] = {
    "seed tag": setting(noise, "SEED_TAG", 1),
    "seeding rounds": setting(noise, "CHASKEY_ROUNDS", 8),
    "side bits": setting(noise, "side_bits", lambda state: state[1] >> 20),
    "alias table": setting(contract, "GAUSSIAN_LAW", replace(GAUSSIAN_LAW, threshold_bits=27)),
    "fields of a draw": setting(step, "gaussian", lambda draw: noise.gaussian(draw ^ 1 << 31)),
    "rounding": setting(NumberFormat, "reduce", floor),
    "pixel": setting(step, "PIXEL_HI", 127),
    "physics": lambda patch: patch.setitem(PHYSICS, "ising", PHYSICS["quartic"]),
    "full scale": lambda patch: patch.setitem(
        PHYSICS, "ising", replace(PHYSICS["ising"], coupling_full=PHYSICS["ising"].local_full)),
}


@pytest.mark.parametrize("change", LINK | ARITHMETIC)
def test_ids_follow_a_change_of(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And models, which name the arithmetic alone, outlive one of the link."""
    (LINK | ARITHMETIC)[change](monkeypatch)
    assert digest(describe_contract()) != CONTRACT_ID
    assert (digest(describe_arithmetic()) == ARITHMETIC_ID) == (change in LINK)


def test_contract_id_ignores_what_is_only_told_to_people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registers, "REGISTERS", tuple(
        replace(register, doc="") for register in registers.REGISTERS))
    assert digest(describe_contract()) == CONTRACT_ID
