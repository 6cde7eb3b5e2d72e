"""``pendula train``: from a preset to a model file."""

import time
from pathlib import Path
from typing import Any

import click

from pendula import modelfile
from pendula.cli.common import emit, json_option, output_option, progress_bar
from pendula.program import Program

__all__ = ["command"]


@click.command("train")
@click.argument("preset")
@output_option("Model file to write (.pendula).")
@click.option("--data", type=click.Path(path_type=Path), metavar="FOLDER",
              help="Folder with the data set's files, for presets that need one.")
@click.option("--seed", type=int, default=0, show_default=True,
              help="Seed of the noise that the images are mixed with.")
@json_option
def command(preset: str, output: Path, data: Path | None, seed: int, as_json: bool) -> None:
    """Train PRESET by force matching, quantise it to 4-bit codes, and write a model file.

    \b
    Presets:
      digits      8x8 digits of scikit-learn, all ten classes
      mnist01-12  MNIST's zeros and ones, averaged to 12x12; --data names the folder with
                  train-images-idx3-ubyte.gz and the other three files

    Noise is added to the images step by step; for every segment of that diffusion, run backwards,
    the array's couplings are the least-squares answer to the force that would undo it. An ensemble
    runs along with the codes chosen so far, and each segment makes up for how far it has gone
    astray. `loss` is the share of the squared force that the best real coefficients leave (most of
    it is noise that no force can know); `excess` is what codes and feedback add to that. The same
    command gives the same file.

    \b
    Examples:
      pendula train digits -o my.pendula
      pendula train mnist01-12 --data ~/mnist -o ones.pendula && pendula sample ones.pendula ...
    """
    from pendula.training import get_preset, train
    chosen = get_preset(preset)
    start = time.perf_counter()
    with progress_bar("Training", chosen.segments + 1) as progress:
        program = train(chosen, data=data, seed=seed, progress=progress)
    seconds = time.perf_counter() - start
    modelfile.save(program, output)
    emit({"output": str(output), "program": program.digest, **_figures(program),
          "train_s": round(seconds, 2)}, as_json)


def _figures(program: Program) -> dict[str, Any]:
    segments, spec = program.provenance["segments"], program.spec
    share = {name: sum(one[name] * one["steps"] / one["power"] for one in segments)
             / program.total_steps for name in ("loss", "excess")}
    return {"nodes": spec.nodes, "neighbours": len(spec.offsets), "segments": program.segments,
            "steps": program.total_steps, "code_bits": spec.code_bits,
            **{name: round(value, 5) for name, value in share.items()}}
