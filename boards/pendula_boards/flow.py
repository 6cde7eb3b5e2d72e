"""From RTLIL to a bitstream: the steps of each family, as commands that nothing has run yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pendula_gateware.fabric import ECP5, GOWIN, ICE40

__all__ = ["ECP5_FLOW", "GOWIN_FLOW", "ICE40_FLOW", "NETLIST", "Flow", "Plan", "Step"]

DESIGN = "top"
NETLIST = "netlist.json"


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a tool, in the folder of the plan.

    Parameters
    ----------
    tool : str
        Its name.
    arguments : tuple of str
        Its arguments.
    """

    tool: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """Tools of a family.

    Parameters
    ----------
    syntheses : tuple of str
        Commands of Yosys, without the top: the first that does not fail is used.
    placer, packer : str
        Names of the tools.
    methods : tuple of tuple of str
        Options of the placer that choose how it works: the seeds take them in turn.
    constraints : tuple of str
        Arguments of the placer that name the file of pins.
    constraints_file : str
        That file.
    routed : tuple of str
        Option of the placer that names its output; ``{}`` stands for the output's stem.
    pack : tuple of str
        Arguments of the packer; ``{}`` as above.
    bitstream : str
        Suffix of a bitstream.
    resources : mapping of str to str
        The placer's name of each resource.
    ceilings : mapping of str to float
        Fraction of a resource that a design may fill; 1 where it is not listed. Fuller ones may
        not be routed.
    """

    syntheses: tuple[str, ...]
    placer: str
    packer: str
    methods: tuple[tuple[str, ...], ...] = ((),)
    constraints: tuple[str, ...]
    constraints_file: str
    routed: tuple[str, ...]
    pack: tuple[str, ...]
    bitstream: str
    resources: Mapping[str, str]
    ceilings: Mapping[str, float]

    @property
    def tools(self) -> tuple[str, ...]:
        """Names of all tools."""
        return "yosys", self.placer, self.packer


ECP5_FLOW = Flow(
    syntheses=ECP5.syntheses, placer="nextpnr-ecp5", packer="ecppack",
    methods=(("--placer", "static"), ("--placer", "heap")),
    constraints=("--lpf", f"{DESIGN}.lpf"), constraints_file=f"{DESIGN}.lpf",
    routed=("--textcfg", "{}.config"),
    pack=("--compress", "--input", "{}.config", "--bit", "{}.bit"), bitstream=".bit",
    resources={"LUT": "TRELLIS_COMB", "FF": "TRELLIS_FF", "EBR": "DP16KD", "DSP": "MULT18X18D"},
    # with every multiplier in use, the placer was seen to look for places without end
    ceilings={"LUT": 0.9, "DSP": 0.9})

ICE40_FLOW = Flow(
    syntheses=ICE40.syntheses, placer="nextpnr-ice40", packer="icepack",
    constraints=("--pcf", f"{DESIGN}.pcf"), constraints_file=f"{DESIGN}.pcf",
    routed=("--asc", "{}.asc"), pack=("{}.asc", "{}.bin"), bitstream=".bin",
    resources={"LC": "ICESTORM_LC", "EBR": "ICESTORM_RAM", "DSP": "ICESTORM_DSP",
               "SPRAM": "ICESTORM_SPRAM"},
    ceilings={"LC": 0.95})
"""Of UltraPlus. A logic cell (LC) is a look-up table and a flip-flop."""

GOWIN_FLOW = Flow(
    syntheses=GOWIN.syntheses, placer="nextpnr-himbaechel-gowin", packer="gowin_pack",
    constraints=("--vopt", f"cst={DESIGN}.cst"), constraints_file=f"{DESIGN}.cst",
    routed=("--write", "{}.routed.json"), pack=("-o", "{}.fs", "{}.routed.json"),
    bitstream=".fs",
    resources={"LUT": "LUT4", "FF": "DFF", "EBR": "BSRAM", "DSP": "MULT18X18"},
    ceilings={"LUT": 0.85})


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that makes a bitstream, apart from the tools.

    Parameters
    ----------
    flow : Flow
        Tools.
    files : mapping of str to str
        Text files of the plan's folder.
    place_options, pack_options : tuple of str
        What the board adds to placing and packing.
    clock_mhz : float
        Clock that is placed for.
    """

    flow: Flow
    files: Mapping[str, str]
    place_options: tuple[str, ...]
    pack_options: tuple[str, ...]
    clock_mhz: float

    @classmethod
    def of(cls, top: Any, platform: Any, flow: Flow, *, place_options: Sequence[str],
           pack_options: Sequence[str], clock_mhz: float) -> "Plan":
        """Elaborate `top` for a platform of Amaranth."""
        # sources stay out: they would tell the machine's paths, and bitstreams must repeat
        made = platform.build(top, name=DESIGN, do_build=False, emit_src=False).files
        files = {name: _text(made[name]) for name in (f"{DESIGN}.il", flow.constraints_file)}
        scripts = {_script(attempt): "\n".join((
            f"read_rtlil {DESIGN}.il", f"{synthesis} -top {DESIGN}",
            f"write_json {NETLIST}", "")) for attempt, synthesis in enumerate(flow.syntheses)}
        return cls(flow=flow, files=files | scripts,
                   place_options=tuple(place_options), pack_options=tuple(pack_options),
                   clock_mhz=clock_mhz)

    def synthesise(self, attempt: int = 0) -> Step:
        """Return the step from RTLIL to a netlist, by the flow's syntheses."""
        return Step("yosys", (_script(attempt),))

    def count(self, report: str) -> Step:
        """Return the step that counts what a netlist needs, without placing it."""
        return self._placer("--pack-only", "--report", report)

    def place(self, seed: int) -> Step:
        """Return the step from netlist to routed design, by the method whose turn it is."""
        stem, methods = self.stem(seed), self.flow.methods
        return self._placer("--seed", str(seed), *methods[(seed - 1) % len(methods)],
                            "--report", f"{stem}.json", "--log", f"{stem}.log",
                            "--timing-allow-fail", "--quiet",
                            *(part.format(stem) for part in self.flow.routed))

    def pack(self, seed: int) -> Step:
        """Return the step from routed design to bitstream."""
        stem = self.stem(seed)
        return Step(self.flow.packer,
                    (*self.pack_options, *(part.format(stem) for part in self.flow.pack)))

    def bitstream(self, seed: int) -> str:
        """Return the name of the bitstream."""
        return self.stem(seed) + self.flow.bitstream

    @staticmethod
    def stem(seed: int) -> str:
        """Return what the names of a seed's files begin with."""
        return f"seed-{seed}"

    def _placer(self, *arguments: str) -> Step:
        return Step(self.flow.placer, (*self.place_options, "--json", NETLIST,
                                       *self.flow.constraints, "--freq",
                                       f"{self.clock_mhz:.6f}", *arguments))


def _script(attempt: int) -> str:
    return f"synthesis-{attempt}.ys"


def _text(content: str | bytes) -> str:
    return content if isinstance(content, str) else content.decode()
