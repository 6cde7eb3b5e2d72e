"""Memory images: all rows at once, equal to the contract's rows one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pendula.contract import PHYSICS, ArraySpec
from pendula.contract.memory import Memory, RowLayout, memory_layouts
from pendula.images import node_image, pack_rows, program_images
from pendula.program import Program, random_program
from strategies import programs


def rows_of(image: np.ndarray) -> list[bytes]:
    assert image.dtype == np.uint8
    return [row.tobytes() for row in image]


@given(programs())
def test_program_images_equal_the_rows_of_the_contract(program: Program) -> None:
    layouts, images = memory_layouts(program.spec), program_images(program)
    N = program.spec.nodes
    assert set(images) == {Memory.TABLE, Memory.PARAMETER, Memory.SEGMENT}
    assert rows_of(images[Memory.TABLE]) == [
        layouts[Memory.TABLE].pack({name: [table[row]] for name, table in program.tables.items()})
        for row in range(program.spec.table_rows)]
    assert rows_of(images[Memory.PARAMETER]) == [
        layouts[Memory.PARAMETER].pack({"codes": program.codes[segment, node],
                                        "local_codes": program.local_codes[segment, node]})
        for segment in range(program.segments) for node in range(N)]
    assert rows_of(images[Memory.SEGMENT]) == [
        layouts[Memory.SEGMENT].pack({
            "steps": [program.steps[segment]], "coupling_gain": [program.coupling_gain[segment]],
            "local_gains": program.local_gains[segment],
            "noise_gain": [program.noise_gain[segment]]})
        for segment in range(program.segments)]


@given(programs(), st.data())
def test_node_image_equals_the_rows_of_the_contract(program: Program, data: st.DataObject) -> None:
    spec, layout = program.spec, memory_layouts(program.spec)[Memory.NODE]
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    uploaded = rng.integers(spec.state.lo, spec.state.hi + 1, spec.nodes)
    clamped, visible = rng.integers(0, 2, (2, spec.nodes)).astype(bool)
    assert rows_of(node_image(spec, uploaded, clamped, visible)) == [
        layout.pack({"uploaded": [uploaded[i]], "clamped": [clamped[i]], "visible": [visible[i]]})
        for i in range(spec.nodes)]


def test_images_hold_the_segments_in_use_alone() -> None:
    spec = ArraySpec(physics=PHYSICS["ising"], nodes=5, offsets=(1,), segments=9, table_bits=3)
    images = program_images(random_program(spec, np.random.default_rng(0), segments=2))
    assert len(images[Memory.PARAMETER]) == 10
    assert len(images[Memory.SEGMENT]) == 2
    assert len(images[Memory.TABLE]) == 8


def test_missing_field_is_an_error_of_the_caller() -> None:
    layout: RowLayout = memory_layouts(
        ArraySpec(physics=PHYSICS["ising"], nodes=2, offsets=(1,)))[Memory.SEGMENT]
    with pytest.raises(KeyError, match="coupling_gain"):
        pack_rows(layout, {"steps": np.ones(1, np.int64)})
