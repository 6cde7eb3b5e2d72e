"""Memory images: the bytes that a program becomes on the link."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pendula.contract.memory import Memory, RowLayout, memory_layouts
from pendula.contract.spec import ArraySpec
from pendula.contract.statistics import Measurement
from pendula.program import IntArray, Program

__all__ = ["measurement_image", "node_image", "pack_rows", "program_images"]


def pack_rows(layout: RowLayout, values: dict[str, IntArray]) -> npt.NDArray[np.uint8]:
    """Pack rows as :meth:`pendula.contract.memory.RowLayout.pack` does, all at once.

    Parameters
    ----------
    layout : RowLayout
        Layout of the memory.
    values : dict of str to array of int
        Each of shape (rows, count), already within its field.

    Returns
    -------
    array of uint8, shape (rows, row_bytes)
    """
    rows = len(next(iter(values.values())))
    bits = np.zeros((rows, layout.row_bytes * 8), dtype=np.uint8)
    position = 0
    for field in layout.fields:
        items = np.asarray(values[field.name], dtype=np.int64).reshape(rows, field.count)
        spread = (items[:, :, None] >> np.arange(field.width)) & 1
        end = position + field.width * field.count
        bits[:, position:end] = spread.reshape(rows, -1)
        position = end
    return np.packbits(bits, axis=1, bitorder="little")


def program_images(program: Program) -> dict[Memory, npt.NDArray[np.uint8]]:
    """Return the image of every memory that a program fills; rows from 0 up.

    Returns
    -------
    dict of Memory to array of uint8, shape (rows, row_bytes)
        The node memory is not among them: see :func:`node_image`.
    """
    layouts = memory_layouts(program.spec)
    rows = program.segments * program.spec.nodes
    return {
        Memory.TABLE: pack_rows(layouts[Memory.TABLE], dict(program.tables)),
        Memory.PARAMETER: pack_rows(layouts[Memory.PARAMETER], {
            "codes": program.codes.reshape(rows, -1),
            "local_codes": program.local_codes.reshape(rows, -1)}),
        Memory.SEGMENT: pack_rows(layouts[Memory.SEGMENT], {
            "steps": program.steps,
            "coupling_gain": program.coupling_gain,
            "local_gains": program.local_gains,
            "noise_gain": program.noise_gain}),
    }


def node_image(spec: ArraySpec, uploaded: IntArray, clamped: npt.NDArray[np.bool_],
               visible: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """Return the image of the node memory; all arguments have shape (N,)."""
    return pack_rows(memory_layouts(spec)[Memory.NODE], {
        "uploaded": uploaded, "clamped": clamped.astype(np.int64),
        "visible": visible.astype(np.int64)})


def measurement_image(spec: ArraySpec, measurements: Sequence[Measurement]
                      ) -> npt.NDArray[np.uint8]:
    """Return the image of the first rows of the measurement memory."""
    kinds, nodes = np.array(measurements, np.int64).reshape(-1, 2).T
    return pack_rows(memory_layouts(spec)[Memory.MEASUREMENT], {"kind": kinds, "node": nodes})
