"""Programs that hold the real parameters which their codes were rounded from."""

from dataclasses import replace

import numpy as np

from pendula.program import Program


def unrounded(program: Program, off: float = 0.4, *, noise: float = 1.0) -> Program:
    """Return `program` with real parameters up to `off` codes away, and noise gains `noise` times.

    Parameters
    ----------
    program : Program
        Its codes and gains stay.
    off : float
        Codes are uniform within this about the real parameters.
    noise : float
        Factor of the noise gains.
    """
    rng = np.random.default_rng(7)
    codes = program.codes + rng.uniform(-off, off, program.codes.shape)
    return replace(program, unrounded={
        "codes": codes * np.array(program.graph.mask),
        "local_codes": program.local_codes + rng.uniform(-off, off, program.local_codes.shape),
        "noise_gain": program.noise_gain * noise})
