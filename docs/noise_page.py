"""Data sheet of the noise: its law from the contract, the rest from docs/figures/noise-*.json.

The files are written by the scripts in benchmarks/noise.
"""

import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pendula.contract import noise
from pendula.contract.gaussian import GAUSSIAN_LAW
from pendula.contract.jitter import RAW_BITS
from pendula_gateware.fabric import ECP5
from pendula_gateware.noise.source import NoiseSource

__all__ = ["noise_page"]

Table = Callable[[Iterable[str], Iterable[Iterable[Any]]], str]

FIGURES = Path(__file__).parent / "figures"
KINDS = {"draws": "all 44 bits", "words": "32-bit words", "uniforms": "top 24 bits"}


def figures(name: str) -> Any:
    """Return what a script in benchmarks/noise has measured."""
    return json.loads((FIGURES / f"noise-{name}.json").read_text())


def bytes_text(count: int) -> str:
    """Return a number of bytes as a person reads it."""
    return f"{count / 2**30:.3g} GiB" if count >= 2**29 else f"{count / 2**20:.3g} MiB"


def law_tables(table: Table) -> str:
    """Return moments and tails, from the exact counts."""
    law = GAUSSIAN_LAW
    counts, total = law.counts(), 1 << law.draw_bits

    def moment(order: int) -> float:
        return sum(value**order * count for value, count in counts.items()) / total

    def tails(sigmas: int) -> tuple[object, ...]:
        raw = sigmas * noise.SIGMA_RAW
        found = sum(count for value, count in counts.items() if abs(value) > raw) / total
        ideal = math.erfc((raw + 0.5) / noise.SIGMA_RAW / math.sqrt(2))
        return sigmas, f"{found:.4e}", f"{ideal:.4e}", f"{found / ideal - 1:+.3%}"

    sigma = math.sqrt(moment(2))
    properties = [
        ("mean", moment(1)), ("standard deviation, raw", f"{sigma:.6f}"),
        ("excess kurtosis", f"{moment(4) / sigma**4 - 3:.2e}"),
        ("sixth moment / sigma^6 - 15", f"{moment(6) / sigma**6 - 15:.2e}"),
        ("largest value, raw", max(counts)), ("width, bits", noise.GAUSSIAN_BITS),
        ("largest value / sigma", f"{max(counts) / noise.SIGMA_RAW:.2f}"),
        ("different values", len(counts)),
        ("draws of the rarest value, of 2^44", min(counts.values()))]
    return (table(("property", "value"), properties)
            + "\nMass in both tails, against the Gaussian of the same standard deviation rounded "
              "to raw units:\n\n"
            + table(("beyond sigma", "mass", "Gaussian", "difference"),
                    [tails(k) for k in range(1, 7)]))


def histogram_section() -> str:
    """Return how the twin's Gaussians follow the law."""
    f = figures("histogram")
    moments = ", ".join(f"{f[f'moment_{k}_errors']:+.2f}" for k in (1, 2, 3, 4))
    return f"""\
`benchmarks/noise/histogram.py`: {f['draws']:,} draws of the twin, seed {f['seed']}. Chi-square
{f['chi_square']:,} with {f['degrees_of_freedom']:,} degrees of freedom (tails pooled until 50 are
expected), p = {f['chi_square_p']}; Anderson-Darling {f['anderson_darling']},
p = {f['anderson_darling_p']}. First to fourth moment, in standard errors from the law: {moments}.
At 6 sigma and beyond: {f['from_6_sigma']} draws, {f['from_6_sigma_expected']} expected; the largest
is {f['largest_sigma']} sigma. At this length a standard deviation off by
{3.9 / math.sqrt(2 * f['draws']):.1e} of itself would be found with probability 0.9 at level 0.01.
"""


def correlation_section(table: Table) -> str:
    """Return lag and lane correlations."""
    f = figures("correlations")
    rows = [(name, f"{row['correlations']:,}", row["largest_errors"], row["p_of_largest"],
             row["spread_errors"], row["bound"])
            for name, row in f.items() if isinstance(row, dict)]
    return f"""\
`benchmarks/noise/correlations.py`: {f['lanes']} lanes of {f['draws_of_a_lane']:,} draws, lags up to
{f['lags']:,}, seed {f['seed']}. Correlations in units of their standard error; a single one as
large as the bound would be found with probability {f['power']} at level {f['level']} of the family.

{table(("family", "correlations", "largest", "p of the largest", "spread", "bound"), rows)}"""


def order_text(run: dict[str, Any]) -> str:
    """Return in which order a battery got the draws."""
    streams, draws = run["order"]
    text = "one stream" if streams == 1 else f"{streams} lanes, draw by draw"
    if draws < 1 << 40:
        text += f", new streams every {draws:,} draws"
    return text + (", bits reversed" if run["reverse"] else "")


def battery_section(table: Table) -> str:
    """Return every run of a foreign battery."""
    runs = figures("batteries")
    rows = [(f"{run['tool']} {run['argument'].lstrip('-')}", run["source"], KINDS[run["kind"]],
             order_text(run), run["seed"], bytes_text(run["bytes"]), run["statistics"],
             "; ".join(run["remarks"]) or "none", "; ".join(run["failed"]) or "none")
            for run in runs]
    total = {source: sum(run["bytes"] for run in runs if run["source"] == source)
             for source in sorted({run["source"] for run in runs})}
    sums = ", ".join(f"{bytes_text(size)} of {source}" for source, size in total.items())
    return f"""\
`benchmarks/noise/batteries.py`: {len(runs)} runs, {sums}. "Remarks" are all p-values that the
battery itself prints as unusual (ent prints its one p-value always): PractRand beyond about 1e-3
at either end, TestU01 outside 0.001..0.999, dieharder WEAK. A failure is what the battery calls
one (PractRand FAIL, dieharder FAILED) or, for TestU01, below 1e-10 at either end; ent's
chi-square fails outside 1e-4..1 - 1e-4.

{table(("battery", "device", "bits", "order", "seed", "tested", "statistics", "remarks", "failed"),
       rows)}"""


def cost_section(table: Table) -> str:
    """Return area and speed."""
    cost = figures("cost")
    columns = ("LUT4", "FF", "block RAM", "DSP", "fmax_mhz")

    def row(name: str) -> list[Any]:
        family, _, part = name.partition(": ")
        own = cost[f"{family}: 256 triangles, as taken"]["LUT4"]
        share = f"{own / cost[name]['LUT4']:.1%}" if part.startswith("lane") else ""
        return [family, part, *(cost[name].get(column, "") for column in columns), share]

    names = [name for name in cost if ": " in name]
    return f"""\
`benchmarks/noise/cost.py`, {cost['yosys']}. Area is what synthesis counts for the part alone; the
LUT4 of ECP5 include carry chains, two a CCU2C, and memories in LUTs. Fmax is the best of three
seeds after place and route between registers: ECP5-85F speed grade 6, iCE40UP5K. The share is the
noise source's, of the LUT4 of a lane.

{table(("family", "part", "LUT4", "FF", "block RAM", "DSP", "Fmax, MHz", "share"),
       map(row, names))}"""


def noise_page(table: Table) -> str:
    """Return the data sheet."""
    law, equal = GAUSSIAN_LAW, figures("equality")
    return f"""# Noise source: data sheet

Every lane draws {noise.DRAW_BITS} uniform bits a node and step, one Gaussian of them, one draw a
clock cycle, {NoiseSource().latency} cycles from request to Gaussian, or
{NoiseSource(fabric=ECP5).latency} on an ECP5. Everything below is computed from the contract or
measured by the script that is named. Why this source: [adr 0008](../adr/0008-noise-source.md). How
good it has to be: [noise quality](../noise-quality.md).

## Streams

A stream belongs to a pair of 64-bit seed and 32-bit sample index. Its first state is
{noise.CHASKEY_ROUNDS} rounds of the Chaskey permutation of (seed, index, tag). The permutation is a
bijection, so no two pairs share a first state. The state of zeros, which the generator could not
leave, is the image of zeros alone, and the tag is not zero: every seed and index is good, 0 too.

The state advances as xoshiro128++ does, on one cycle of 2^128 - 1 states. A draw is its 32-bit
output word, made of state words 0 and 3, and {noise.SIDE_BITS} side bits: the top of the sum of
state words 1 and 2. Over the whole period all 2^{noise.DRAW_BITS} draws are equally frequent, but
for the missing state of zeros.

Streams are stretches of the one cycle. Taken as random places on it, n streams of L draws overlap
with a probability below n^2 L / 2^128. A stream may be asked for at most
2^{noise.DRAWS_HI.bit_length() - 1} draws, which keeps that below 2^-16 for all 2^32 streams of a
seed; the longest program that fits an array takes fewer than 2^47.

A sample takes one draw a node for its initial state, whatever that is, then one a node and step.
Clamped nodes take theirs too. A lane is seeded anew for every sample: the first state is prepared
while the samples before are drawn, and loaded in one cycle. So no draw depends on lanes, batches,
or what ran before; a run that is repeated or resumed draws the same bits. A state's initial
phase, where it is uniform, is the top bits of the draw's word.

## Law of the Gaussian

Of a draw, {law.cell_bits} bits choose a cell, {law.threshold_bits} bits decide between it and its
alias, and two uniforms of {law.uniform_bits} bits add up to a triangle round the cell's centre. The
law is exact: it counts all 2^{law.draw_bits} draws.

{law_tables(table)}
## Draws follow the law

{histogram_section()}
## Draws are the same everywhere

`benchmarks/noise/rtl.py`: the first {equal['first_draws']:,} words and Gaussians of
{len(equal['streams'])} streams are equal, bit for bit, in the contract, the twin and Amaranth's
simulator; {equal['rtl_draws'] // 2:,} draws of {equal['rtl_streams'] // 2:,} streams of the
compiled RTL, through the link, equal the twin's, once shown as the top 24 bits of the words and
once as the Gaussians, which all the bits of a draw decide. Anyone can repeat it:

    cmp <(pendula noise twin:// --bytes 3M --kind uniforms) \\
        <(pendula noise verilator:// --bytes 3M --kind uniforms)

## Lanes and lags

{correlation_section(table)}
## Test batteries

{battery_section(table)}
A short battery of our own runs with the tests: tests/system/test_noise_statistics.py.

## Area and speed

{cost_section(table)}
The twin's rate stands in [benchmarks](../benchmarks.md).

## Seeding from jitter

Optional, and never silently in use: a seed is drawn from {RAW_BITS:,} raw bits of ring oscillators
on request, and reported. See [jitter](../jitter.md).

## Not covered

No board has been measured. The batteries test the bits that arrays use, not unpredictability: the
generator is no cipher, and its state can be worked out from its output.
"""
