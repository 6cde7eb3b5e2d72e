"""Measure how good the noise must be: which laws, and which sharing of a source, show in samples.

    python benchmarks/noise/quality.py [--samples N] [--figures FOLDER] [PART ...]

Parts: laws, rounding, sharing, check, digits; minutes in all. docs/noise-quality.md explains them.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from scipy import stats

from pendula import modelfile
from pendula.metrics import compare_samples
from pendula.metrics.samples import FloatArray
from pendula.twin.noise import GaussianSampler, NoiseStreams
from pendula.twin.twin_device import TwinDevice
from quality_laws import SEPARATION, all_laws, normal, samples_needed
from quality_systems import (
    BLOCK,
    Network,
    Node,
    NoiseMap,
    coarse,
    ideal_map,
    network_samples,
    quantile_map,
    rotate,
    rounded_variance,
    run,
)

WANTED = 1e6
# Of the quartic well's noise, in raw states: odd multiples of sigma_raw, so that the noise's step
# does not divide a row of the tables; that of ALIGNED does.
SIGMAS = (15 * 256, 39 * 256, 57 * 256)
ALIGNED = 16 * 256
DECAY = 0.95                        # of the linear chain


def well(sigma: int) -> Node:
    """Return the quartic well at temperature 1."""
    return Node(3, (sigma * 2.0**-15) ** 2 / 2, sigma)


def make_nodes() -> dict[str, Node]:
    """Return the one-node systems: wells and a linear chain."""
    nodes = {f"quartic {(sigma * 2.0**-15) ** 2 / 2:.4f}": well(sigma) for sigma in SIGMAS}
    return nodes | {"linear": Node(1, 1 - DECAY, SIGMAS[0])}


def part_laws() -> list[dict]:
    """Print, for every law, the samples at which each system shows it."""
    nodes, network = make_nodes(), Network()
    sensitivities = network.sensitivity(4), network.sensitivity(6)
    ideal = {name: node.stationary(None, node.boltzmann()) for name, node in nodes.items()}
    for name, node in nodes.items():
        assert samples_needed(node.stationary(None, ideal[name]), ideal[name]) > 1e12
        euler = samples_needed(ideal[name], node.boltzmann())
        variance = ideal[name] @ (node.states * node.unit_val) ** 2
        print(f"{name}: variance {variance:.5f}"
              + f", Euler against Boltzmann {euler:.0f} samples" * ("quartic" in name))
    print(f"network: sensitivities {sensitivities[0]:.3g}, {sensitivities[1]:.3g}; "
          f"node kurtosis {network.node_kurtosis().mean():.4f} of the noise's")
    one = well(ALIGNED)
    aligned = one.stationary(None, one.boltzmann())
    drawn = one.stationary(all_laws()[0], aligned)
    print(f"contract, its step dividing a table row: "
          f"{samples_needed(coarse(drawn), coarse(aligned)):.1e} samples at 8 bits")
    print("| law | draw bits | reach | variance - 1 | kurtosis | "
          + " | ".join([f"{name}, 8 bits | every bit" for name in nodes] + ["network"]) + " |")
    rows = []
    for law in all_laws():
        needed = {}
        for name, node in nodes.items():
            p = node.stationary(law, ideal[name])
            needed[name] = samples_needed(coarse(p), coarse(ideal[name]))
            needed[name + ", every bit"] = samples_needed(p, ideal[name])
        needed["network"] = network_samples(law, sensitivities, network.side**2)
        variance, kurtosis, _ = law.cumulants
        rows.append({"law": law.name, "kind": law.kind, "draw_bits": law.draw_bits,
                     "reach": law.values[-1], "variance": variance, "kurtosis": kurtosis,
                     "samples": needed})
        print(f"| {law.name}{' (not rescaled)' * ('not' in law.kind)} | {law.draw_bits} "
              f"| {law.values[-1]:.2f} | {variance:.1e} | {kurtosis:.1e} | "
              + " | ".join(f"{n:.1e}" for n in needed.values()) + " |", flush=True)
    return rows


def part_rounding() -> list[dict]:
    """Print the variance of the linear chain over that of reals, by sigma in units of the state."""
    laws = {law.name: law for law in all_laws()}
    below = {"ideal": normal} | {name: laws[name].below for name in
                                 ("contract", "8 bits", "6 bits", "4 bits", "two points")}
    rows = []
    for sigma in 2.0 ** np.arange(-3, 4.01, 0.5):
        rows.append({"sigma": float(sigma)} | {
            name: rounded_variance(float(sigma), DECAY, one) for name, one in below.items()})
        print("| " + " | ".join(f"{value:.4f}" for value in rows[-1].values()) + " |")
    return rows


def part_sharing() -> list[dict]:
    """Print how far lanes that share a generator depend on each other, in the linear network."""
    network = Network()
    whiten, variance = network.whiten(), np.diag(network.covariance)
    rows = []
    for delay in (0, 1, 37, 64, 101, 357, 677, 1317, 2597):
        crosses = [network.cross(delay * lanes) for lanes in (1, 2, 3)]
        white = [whiten @ cross @ whiten for cross in crosses]
        square = (np.linalg.svd(white[0], compute_uv=False) ** 2).clip(0, 1 - 1e-12)
        node = np.diag(crosses[0]) / variance
        worst = [np.linalg.eigvalsh(one + one.T)[-1] / 2
                 for one in (white[0], (3 * white[0] + 2 * white[1] + white[2]) / 2)]
        # Affinity of two Gaussians, dependent and not: one factor a canonical correlation.
        affinity = np.log1p(-square).sum() / 4 - np.log1p(-square / 4).sum() / 2
        rows.append({"delay": delay, "node": float(node.mean()),
                     "canonical": float(np.sqrt(square[0])),
                     "effective_node": float(1 / (1 + node.mean())),
                     "effective_variance": float(1 / (1 + (node**2).mean())),
                     "effective_worst_2": float(1 / (1 + worst[0])),
                     "effective_worst_4": float(1 / (1 + worst[1])),
                     "pairs": float(SEPARATION / (-8 * affinity))})
        print("| " + " | ".join(f"{value:.4g}" for value in rows[-1].values()) + " |")
    rows.append(rotated_draws())
    return rows


def rotated_draws(streams: int = 4096, draws: int = 2048) -> dict:
    """Print the largest correlation of Hermite polynomials of a draw's and its rotation's value."""
    words, sides = np.empty((2, draws, streams), np.uint32)
    NoiseStreams(3, range(streams), draws).draw(words, sides)
    sampler, values = GaussianSampler(words.shape), np.empty((2, *words.shape), np.int16)
    sampler.gaussians(words, sides, values[0])
    sampler.gaussians(*rotate(words, sides, 22), values[1])
    x, y = (np.array([np.polynomial.hermite_e.hermeval(v.ravel() / 256, row)
                      for row in np.eye(5)[1:]]) for v in values)
    r = np.corrcoef(x, y)[:4, 4:]
    error = 1 / np.sqrt(words.size)
    print(f"rotated by 22 bits: {words.size} draws, largest of 16 correlations "
          f"{np.abs(r).max():.1e}, standard error {error:.1e}")
    return {"rotation": 22, "draws": words.size, "largest": float(np.abs(r).max()), "error": error}


def part_check(count: int) -> list[dict]:
    """Compare closed forms and exact laws with the integer twin."""
    laws = {law.name: law for law in all_laws()}
    contract = laws["contract"]
    node = make_nodes()["quartic 0.0464"]
    exact = node.stationary(contract, node.boltzmann())
    states_val = run(node.program, quantile_map(contract, contract), count)
    with TwinDevice("twin://", threads=1) as device:
        device.load(node.program)
        same = node.program.states_val(device.sample(BLOCK, seed=1, hidden=True).values)
    assert np.array_equal(states_val[:BLOCK], same), "the contract's law mapped to itself"
    drawn = np.rint(states_val.ravel() / node.unit_val).astype(int) - node.states[0]
    groups = np.minimum(np.floor(np.cumsum(exact) * 200), 199).astype(int)
    chi = stats.chisquare(np.bincount(groups[drawn], minlength=200),
                          drawn.size * np.bincount(groups, exact, minlength=200))
    print(f"quartic 0.0464: twin against the operator, {drawn.size} samples, chi-square of 199: "
          f"{chi.statistic:.1f}, p = {chi.pvalue:.2f}")
    rows = [{"check": "quartic", "samples": drawn.size, "p": float(chi.pvalue)}]
    network = Network()
    for name in ("uniform", "sum of 4", "contract"):
        x = run(network.program(0.15), quantile_map(laws[name], contract), count)
        z = x / np.sqrt((x**2).mean(axis=0))
        found = (z**4).mean(axis=1) - 3                     # one figure a sample, nodes averaged
        expected = network.node_kurtosis().mean() * laws[name].cumulants[1]
        half = 1.96 * found.std() / np.sqrt(count)
        variance = (x**2).mean(axis=0) / (0.15**2 * np.diag(network.covariance))
        print(f"network, {name}: kurtosis {found.mean():.4f} +- {half:.4f} (95 %), expected "
              f"{expected:.4f}; variance {variance.mean():.4f} of the closed form's")
        rows.append({"check": name, "kurtosis": float(found.mean()), "half": float(half),
                     "expected": float(expected)})
    return rows


def paired(a: FloatArray, b: FloatArray) -> dict:
    """Return the samples at which the means and covariances of paired samples part.

    Chi-square is the sum over features of squared mean differences, in units of the feature's
    variance, less its noise, in coordinates in which `b` is white: that of the best test on the
    features, were they uncorrelated. The interval is 99 %.
    """
    value, vector = np.linalg.eigh(np.cov(b.T))
    scale = vector / np.sqrt(value)
    y, z = (a - b.mean(axis=0)) @ scale, (b - b.mean(axis=0)) @ scale
    n, (row, column) = len(y), np.triu_indices(y.shape[1])
    squares = ((y**2).T @ y**2 - 2 * (y * z).T @ (y * z) + (z**2).T @ z**2) / n
    second = ((y.T @ y - z.T @ z) / n, squares, (z**2).T @ z**2 / n - (z.T @ z / n) ** 2)
    first = ((y - z).mean(axis=0), ((y - z) ** 2).mean(axis=0), z.var(axis=0))
    shift, square, spread = (np.append(one, two[row, column])
                             for one, two in zip(first, second, strict=True))
    error = (square - shift**2) / n
    alone = np.append(np.ones(y.shape[1], bool), row == column)     # means and variances
    result = {"count": n}
    for name, chosen in (("all", np.ones_like(alone)), ("alone", alone)):
        chi = float(((shift**2 - error) / spread)[chosen].sum())
        variance = ((2 * error**2 + 4 * shift**2 * error) / spread**2)[chosen].sum()
        half = float(stats.norm.isf(0.005) * np.sqrt(variance))
        result |= {f"chi_{name}": chi, f"half_{name}": half,
                   f"at_least_{name}": SEPARATION / max(chi + half, 1e-15)}
    return result


def part_digits(count: int) -> list[dict]:
    """Print what the digits array makes of each law, paired with the ideal Gaussian."""
    program, laws = modelfile.load("digits"), {f"{x.name}, {x.kind}": x for x in all_laws()}
    contract = laws.pop("contract, contract")
    maps = {"contract": quantile_map(contract, contract)}
    for name in ("8 bits, bits", "half a draw, other", "quarter of a draw, other", "6 bits, bits",
                 "4 bits, bits", "3 bits, bits", "4 sigma, reach", "3 sigma, reach",
                 "2.5 sigma, reach", "4 sigma, reach, not rescaled", "sum of 4, other",
                 "uniform, other", "two points, other"):
        maps[name] = quantile_map(laws[name], contract)
    long = {"contract", "8 bits, bits", "half a draw, other"}       # close laws
    ideal = run(program, ideal_map(contract), 6 * count)
    other = run(program, maps["contract"], BLOCK * 8, seed=2)
    own = maps["contract"].low
    rows, base = [], run(program, maps["contract"], 8 * BLOCK)
    for name, noise in maps.items():
        states = run(program, noise, 6 * count if name in long else count)
        test = compare_samples(states[: len(other)], other, seed=0, permutations=399)
        row = {"law": name} | paired(states, ideal[: len(states)]) | {
            "power": test.power[0].mean_shift_sd,
            "found": [family.name for family in test.families if family.different]}
        rows.append(row)
        print("| " + " | ".join(f"{v:.3g}" if isinstance(v, float) else str(v)
                                for v in row.values()) + " |", flush=True)
    for name, noise in {"identical": NoiseMap(own), "delay 37": NoiseMap(own, delay=37),
                        "delay 677": NoiseMap(own, delay=677), "sign flipped": NoiseMap(-own),
                        "rotated 22": NoiseMap(own, rotation=22)}.items():
        rows.append({"sharing": name} | lane_dependence(base, run(program, noise, 8 * BLOCK)))
        print("| " + " | ".join(str(v) for v in rows[-1].values()) + " |", flush=True)
    return rows


def lane_dependence(a: FloatArray, b: FloatArray) -> dict:
    """Return correlations between two lanes' states and the effective samples per sample."""
    n = len(b)
    x, y = ((v - v.mean(axis=0)) / v.std(axis=0) for v in (a, b))
    square = [(v**2 - 1) / (v**2).std(axis=0) for v in (x, y)]
    mean, variance = (x * y).mean(axis=0), (square[0] * square[1]).mean(axis=0)
    pairs = np.abs(x.T @ y / n)
    return {"samples": n, "node": round(float(mean.mean()), 4),
            "largest_pair": round(float(pairs.max()), 4),
            "effective_mean": round(float((1 / (1 + mean)).clip(0, 99).mean()), 3),
            "effective_variance": round(float((1 / (1 + variance)).mean()), 3)}


def plot_laws(rows: list[dict], kinds: set[str], label: str, path: Path) -> None:
    """Plot the samples needed against the bits or the reach; dotted where every bit is seen."""
    figure, axes = plt.subplots(figsize=(5.5, 3.4), layout="constrained")
    rows = sorted((row for row in rows if row["kind"] in kinds),
                  key=lambda row: 0 if "bits" in kinds else row["reach"])
    x = [float(row["law"].split()[0]) if "bits" in kinds else row["reach"] for row in rows]
    colours: dict[str, str] = {}
    for system in rows[0]["samples"]:
        name, *dotted = system.split(", ")
        colour = colours.setdefault(name, f"C{len(colours)}")
        axes.semilogy(x, [row["samples"][system] for row in rows], ":" if dotted else "o-", ms=3,
                      lw=1, color=colour, label=None if dotted else name)
    axes.axhline(WANTED, color="k", lw=0.8, ls="--")
    axes.set(xlabel=label, ylabel="samples that show it", ylim=(10, 1e13))
    axes.legend(fontsize=7)
    figure.savefig(path, dpi=90)


def plot_rounding(rows: list[dict], path: Path) -> None:
    """Plot the variance of the linear chain of whole states over that of reals."""
    figure, axes = plt.subplots(figsize=(5.5, 3.4), layout="constrained")
    for name in list(rows[0])[1:]:
        axes.semilogx([row["sigma"] for row in rows], [row[name] for row in rows], "o-", label=name,
                      ms=2, lw=1)
    axes.set(xlabel="sigma of the noise / unit of the state", ylabel="variance / that of reals",
             ylim=(0, 4))
    axes.legend(fontsize=7)
    figure.savefig(path, dpi=90)


def plot(parts: dict[str, list[dict]], folder: Path) -> None:
    """Write the figures of the parts that were run."""
    stem = str(folder / "noise-quality-")
    if "laws" in parts:
        plot_laws(parts["laws"], {"bits"}, "bits of a Gaussian", Path(stem + "bits.png"))
        plot_laws(parts["laws"], {"reach", "contract"}, "reach / sigma", Path(stem + "reach.png"))
    if "rounding" in parts:
        plot_rounding(parts["rounding"], Path(stem + "rounding.png"))


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART",
                        help="laws, rounding, sharing, check, digits; all if none is given")
    parser.add_argument("--samples", type=int, default=11 * BLOCK,
                        help="samples a law of the twin; six times as many for close laws")
    parser.add_argument("--figures", type=Path, default=Path("docs/figures"),
                        help="folder of the plots and of noise-quality.json")
    arguments = parser.parse_args()
    count = -(-arguments.samples // BLOCK) * BLOCK
    parts = {"laws": part_laws, "rounding": part_rounding, "sharing": part_sharing,
             "check": lambda: part_check(count), "digits": lambda: part_digits(count)}
    figures = {}
    for name in arguments.parts or parts:
        print(f"\n{name}", flush=True)
        figures[name] = parts[name]()
    arguments.figures.mkdir(parents=True, exist_ok=True)
    plot(figures, arguments.figures)
    path = arguments.figures / "noise-quality.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(known | figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
