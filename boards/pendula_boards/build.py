"""Build bitstreams: synthesis once, then several seeds of the placer, of which the best is kept."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pendula.contract.digest import digest
from pendula.errors import BuildError, FitError, TimingError
from pendula.files import cache_folder, replacing
from pendula_boards.board import Board
from pendula_boards.design import Design
from pendula_boards.flow import NETLIST, Plan
from pendula_boards.placement import Placement, Usage, read_placement, read_usage
from pendula_boards.pll import MHZ, megahertz
from pendula_boards.tools import run_steps

__all__ = ["REPORT", "Say", "build", "check_fit", "deliver", "measure"]

REPORT = "report.json"
_COUNTS = "counts.json"

Say = Callable[[str], None]
"""Called with what begins."""


@contextmanager
def working_folder() -> Iterator[Path]:
    """Yield a folder in the cache that is gone afterwards."""
    parent = cache_folder() / "fpga"
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".work-", dir=parent) as folder:
        yield Path(folder)


def synthesise(plans: Mapping[Path, Plan]) -> dict[Path, Usage]:
    """Write the netlist of each plan into its folder, and return what they need.

    Raises
    ------
    BuildError
        If no synthesis of a plan's flow works.
    """
    for folder, plan in plans.items():
        folder.mkdir(exist_ok=True)
        for name, text in plan.files.items():
            (folder / name).write_text(text)
    _write_netlists(plans)
    run_steps([(folder, plan.count(_COUNTS)) for folder, plan in plans.items()])
    return {folder: read_usage(folder / _COUNTS, plan.flow) for folder, plan in plans.items()}


def _write_netlists(plans: Mapping[Path, Plan], attempt: int = 0) -> None:
    failed: set[int] = set()

    def fallback(index: int, error: BuildError) -> None:
        plan = list(plans.values())[index]
        if attempt + 1 == len(plan.flow.syntheses):
            raise error
        failed.add(index)

    run_steps([(folder, plan.synthesise(attempt)) for folder, plan in plans.items()],
              failed=fallback)
    if failed:
        _write_netlists({folder: plan for index, (folder, plan) in enumerate(plans.items())
                         if index in failed}, attempt + 1)


def measure(designs: Sequence[Design]) -> list[Usage]:
    """Return what designs need, from synthesis, side by side; measured once and then kept."""
    kept = [cache_folder() / "fpga" / f"{design.build_id[:32]}.json" for design in designs]
    with working_folder() as folder:
        plans = {folder / path.stem: design.plan()
                 for path, design in zip(kept, designs, strict=True) if not path.exists()}
        for place, usage in synthesise(plans).items():
            with replacing(folder.parent / f"{place.name}.json") as temporary:
                temporary.write_text(json.dumps(usage))
    return [{name: (used, available)
             for name, (used, available) in json.loads(path.read_text()).items()}
            for path in kept]


def build(design: Design, *, seeds: int, say: Say) -> Path:
    """Return the folder with the bitstream of a design and its report.

    It is built once for everything that it is made from, and then kept.

    Raises
    ------
    FitError
        If it does not fit.
    TimingError
        If it is slower than its clock.
    BuildError
        If a tool fails.
    """
    kept = cache_folder() / "fpga" / digest({"build": design.build_id, "seeds": seeds})[:32]
    if not kept.exists():
        with working_folder() as folder:
            result = _build(design, seeds, folder, say)
            with suppress(OSError):     # another process was faster, with the same result
                result.replace(kept)
    return kept


def deliver(kept: Path, output: Path, extra: dict[str, Any]) -> dict[str, Any]:
    """Copy a bitstream to a folder, and its report with more facts; return the report."""
    report = json.loads((kept / REPORT).read_text()) | extra
    output.mkdir(parents=True, exist_ok=True)
    for name, write in ((report["bitstream"], lambda to: shutil.copyfile(
            kept / report["bitstream"], to)), (REPORT, lambda to: to.write_text(
                json.dumps(report, indent=2) + "\n"))):
        with replacing(output / name) as temporary:
            write(temporary)
    return report


def _build(design: Design, seeds: int, folder: Path, say: Say) -> Path:
    folded = f", folded {design.fold} times," if design.fold > 1 else ""
    say(f"Synthesising {design.lanes} lanes of {design.spec.nodes} nodes{folded} for "
        f"{design.board.title}")
    plan = design.plan()
    check_fit(design.board, synthesise({folder: plan})[folder])
    placements = _place(design, plan, seeds, folder, say)
    seed, best = max(placements.items(), key=lambda item: item[1].fmax_hz)
    if not best.met:
        raise TimingError(_too_slow(design, best), best.fmax_hz)
    run_steps([(folder, plan.pack(seed))])
    result = folder / "result"
    result.mkdir()
    bitstream = design.board.name + plan.flow.bitstream
    (folder / plan.bitstream(seed)).replace(result / bitstream)
    facts = _describe(design, placements, seed) | {
        "bitstream": bitstream,
        "bitstream_sha256": hashlib.sha256((result / bitstream).read_bytes()).hexdigest()}
    (result / REPORT).write_text(json.dumps(facts, indent=2) + "\n")
    return result


def _place(design: Design, plan: Plan, seeds: int, folder: Path,
           say: Say) -> dict[int, Placement]:
    """Place and route with seeds from 1 up."""
    done: dict[int, Placement] = {}

    def finished(index: int) -> None:
        seed = index + 1
        done[seed] = read_placement(folder / f"{plan.stem(seed)}.json", plan.flow)
        best_hz = max(placement.fmax_hz for placement in done.values())
        say(f"Placed and routed {len(done)} of {seeds} seeds for {megahertz(design.clock_hz)}: "
            f"{best_hz / MHZ:.1f} MHz at best")

    say(f"Placing and routing for {megahertz(design.clock_hz)}")
    run_steps([(folder, plan.place(seed)) for seed in range(1, seeds + 1)], finished)
    (folder / NETLIST).unlink()
    return dict(sorted(done.items()))


def check_fit(board: Board, usage: Usage) -> None:
    """Refuse what needs more than there is.

    Raises
    ------
    FitError
        If so; the message names every such resource.
    """
    over = [f"{used} {name} of {available}" for name, (used, available) in usage.items()
            if used > available]
    if over:
        raise FitError(f"design must fit {board.title}, not need {', '.join(over)}; "
                       f"'pendula fit {board.name}' says what would")


def _too_slow(design: Design, best: Placement) -> str:
    slower = [mhz for mhz in design.board.clocks_mhz if mhz * MHZ <= best.fmax_hz]
    advice = (f"build with --clock-mhz {max(slower):g}, or try more --seeds" if slower
              else "try more --seeds, or fewer lanes")
    return (f"clock of {design.board.name} must be at most {best.fmax_hz / MHZ:.1f} MHz for this "
            f"design, not {megahertz(design.clock_hz)}: the worst path takes {best.critical}; "
            f"{advice}")


def _describe(design: Design, placements: dict[int, Placement], seed: int) -> dict[str, Any]:
    """Return the facts of a build that hang on the array alone."""
    best, spec, setting = placements[seed], design.spec, design.setting
    return {
        "board": design.board.name, "part": design.board.part.name, "build_id": design.build_id,
        "spec": spec.digest, "physics": spec.physics.name, "nodes": spec.nodes,
        "degree": len(spec.offsets), "segments": spec.segments, "lanes": design.lanes,
        "fold": design.fold, "buffers": design.buffers,
        "resources": {name: {"used": used, "available": available}
                      for name, (used, available) in best.usage.items()},
        "clock_hz": design.clock_hz, "fmax_hz": round(best.fmax_hz),
        "clocks": {name: {"fmax_hz": round(fastest), "wanted_hz": round(wanted)}
                   for name, (fastest, wanted) in best.clocks_hz.items()},
        "critical_path": str(best.critical),
        "pll": {"input_hz": round(setting.input_hz), "divide": setting.divide,
                "multiply": setting.multiply, "post": setting.post},
        "baud_hz": design.baud_hz, "baud_error": design.baud_error,
        "seed": seed,
        "seeds": {str(number): round(placement.fmax_hz)
                  for number, placement in placements.items()},
        "versions": design.versions,
    }
