"""The model file: what goes in comes out, and no damage passes unnoticed."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load as from_safetensors
from safetensors.numpy import save as to_safetensors

from pendula import modelfile
from pendula.contract import PHYSICS, ArraySpec
from pendula.contract.digest import canonical_json
from pendula.errors import ModelFileError
from pendula.modelfile import load, save
from pendula.program import UNROUNDED, Program, random_program
from rounding import unrounded

Metadata = dict[str, Any]
Tensors = dict[str, Any]


def small_program(physics: str = "quartic", seed: int = 1, **formats: int) -> Program:
    spec = ArraySpec(physics=PHYSICS[physics], nodes=6, offsets=(-2, -1, 1, 3), segments=4,
                     **{"table_bits": 4, **formats})
    program = random_program(spec, np.random.default_rng(seed), segments=3)
    provenance = {"rule": "random", "metrics": {"loss": 0.25}, "note": "ü"}
    fields = {name: getattr(program, name) for name in program.__dataclass_fields__}
    return Program(**fields | {"image_shape": (2, 3), "provenance": provenance})


def same(a: Program, b: Program) -> bool:
    return (a.digest == b.digest and a.spec == b.spec and a.image_shape == b.image_shape
            and a.provenance == b.provenance and a.unrounded.keys() == b.unrounded.keys()
            and all(np.array_equal(a.unrounded[name], b.unrounded[name]) for name in a.unrounded))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "m.pendula"
    save(small_program(), path)
    return path


@pytest.fixture
def real_model(tmp_path: Path) -> Path:
    path = tmp_path / "r.pendula"
    save(unrounded(small_program()), path)
    return path


def rewrite(path: Path, change: Callable[[Metadata, Tensors], None], *, seal: bool = True) -> None:
    """Change a file's contents; sealed, its checksum is right again."""
    with safe_open(path, framework="numpy") as file:
        metadata = json.loads(file.metadata()["pendula"])
    tensors = from_safetensors(path.read_bytes())
    change(metadata, tensors)
    if seal and "checksum" in metadata:
        del metadata["checksum"]
        metadata["checksum"] = hashlib.sha256(canonical_json(metadata)).hexdigest()
    path.write_bytes(to_safetensors(tensors, {"pendula": json.dumps(metadata)}))


# Round trip

@pytest.mark.parametrize("physics", PHYSICS)
@pytest.mark.parametrize("formats", [{}, {"gain_bits": 18, "basis_bits": 18, "edge_bits": 12},
                                     {"code_bits": 8, "gain_bits": 8, "basis_bits": 4}])
def test_a_program_comes_back_whole(tmp_path: Path, physics: str, formats: dict[str, int]) -> None:
    program = small_program(physics, **formats)
    save(program, tmp_path / "m.pendula")
    loaded = load(tmp_path / "m.pendula")
    assert same(loaded, program)
    assert loaded.graph == program.graph
    for name, array in program.arrays().items():
        np.testing.assert_array_equal(loaded.arrays()[name], array, err_msg=name)


def test_equal_programs_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(small_program(), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_arrays_of_any_memory_layout_come_back(tmp_path: Path) -> None:
    program = small_program()
    turned = replace(program, codes=np.asfortranarray(program.codes))
    save(turned, tmp_path / "m.pendula")
    assert same(load(tmp_path / "m.pendula"), program)


@pytest.mark.parametrize("physics", PHYSICS)
def test_real_parameters_come_back_bit_for_bit(tmp_path: Path, physics: str) -> None:
    program = unrounded(small_program(physics))
    save(program, tmp_path / "m.pendula")
    loaded = load(tmp_path / "m.pendula")
    assert same(loaded, program)
    assert {name: loaded.unrounded[name].dtype.name for name in UNROUNDED} == UNROUNDED
    save(loaded, tmp_path / "again.pendula")
    assert (tmp_path / "again.pendula").read_bytes() == (tmp_path / "m.pendula").read_bytes()


def test_real_parameters_change_no_other_tensor(model: Path, real_model: Path) -> None:
    alone, both = (from_safetensors(path.read_bytes()) for path in (model, real_model))
    assert {name: tensor.tobytes() for name, tensor in alone.items()} == {
        name: tensor.tobytes() for name, tensor in both.items() if name in alone}
    edges = int(both["mask"].sum())
    assert edges < both["mask"].size
    assert both["unrounded.codes"].shape == (3, edges)      # of edges alone


def test_codes_take_one_byte_each(model: Path) -> None:
    tensors = from_safetensors(model.read_bytes())
    names = ("codes", "steps", "coupling_gain", "mask")
    assert [tensors[name].dtype.name for name in names] == ["int8", "uint16", "int16", "uint8"]


def test_a_failed_save_leaves_the_old_file_and_nothing_else(model: Path) -> None:
    before = model.read_bytes()
    program = small_program()
    program.provenance["loss"] = float("nan")
    with pytest.raises(ModelFileError, match="provenance: must be plain JSON"):
        save(program, model)
    assert model.read_bytes() == before
    assert os.listdir(model.parent) == [model.name]


def test_an_interrupted_save_leaves_the_old_file_and_nothing_else(
        model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = model.read_bytes()

    def write_some(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            file.write(data[:100])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", write_some)
    with pytest.raises(KeyboardInterrupt):
        save(small_program(seed=2), model)
    assert model.read_bytes() == before
    assert os.listdir(model.parent) == [model.name]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"cannot write .*missing"):
        save(small_program(), tmp_path / "missing" / "m.pendula")


# Names

def test_shipped_models_load_by_name_unless_a_file_has_it(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped, own = tmp_path / "shipped.pendula", tmp_path / "one"
    save(small_program(seed=1), shipped)
    monkeypatch.setattr(modelfile, "shipped_models", lambda: {"one": shipped})
    monkeypatch.chdir(tmp_path)
    assert load("one").digest == small_program(seed=1).digest
    save(small_program(seed=2), own)
    assert load("one").digest == small_program(seed=2).digest


def test_an_unknown_name_lists_the_shipped_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modelfile, "shipped_models", lambda: {"one": Path(), "two": Path()})
    with pytest.raises(ModelFileError, match=r"file: must exist .*\(one, two\), not 'digitz'") as e:
        load("digitz")
    assert e.value.field == "file"


def test_every_shipped_model_loads() -> None:
    for name, path in modelfile.shipped_models().items():
        assert load(name).digest == load(path).digest


# Damage

def cut_metadata(name: str) -> Callable[[Metadata, Tensors], None]:
    return lambda metadata, _: metadata.pop(name)


def put(name: str, value: Any) -> Callable[[Metadata, Tensors], None]:
    return lambda metadata, _: metadata.update({name: value})


def put_scalar(name: str, value: Any) -> Callable[[Metadata, Tensors], None]:
    return lambda metadata, _: metadata["scalars"].update({name: value})


def put_spec(name: str, value: Any) -> Callable[[Metadata, Tensors], None]:
    return lambda metadata, _: metadata["spec"].update({name: value})


def put_tensor(name: str, change: Callable[[Any], Any]) -> Callable[[Metadata, Tensors], None]:
    return lambda _, tensors: tensors.update({name: change(tensors.get(name))})


def cut_tensor(name: str) -> Callable[[Metadata, Tensors], None]:
    return lambda _, tensors: tensors.pop(name)


def set_item(index: Any, value: int) -> Callable[[Any], Any]:
    def change(array: Any) -> Any:
        array = array.copy()
        array[index] = value
        return array
    return change


@pytest.mark.parametrize(("change", "field", "text"), [
    (put("version", 2), "version", "must be 1, not 2"),
    (put("version", "1"), "version", "must be an integer, not '1'"),
    (cut_metadata("version"), "version", "not None"),
    (put("arithmetic", "abc"), "arithmetic", "not 'abc': train the model again"),
    (put("extra", 1), "metadata", "extra"),
    (cut_metadata("provenance"), "metadata", "provenance"),
    (cut_metadata("checksum"), "metadata", "checksum"),
    (put("spec", []), "spec", "must have exactly the fields"),
    (put_spec("physics", ["quartic"]), "spec", "physics must be a name"),
    (put_spec("physics", "cubic"), "spec", "'cubic'"),
    (put_spec("offsets", [0]), "spec", "Offset must be non-zero"),
    (put_spec("offsets", [1.5]), "spec", "list of integers"),
    (put_spec("nodes", 10**30), "spec", "nodes must be within"),
    (put_spec("nodes", 7), "codes", "must have shape"),
    (put_spec("gain_bits", 99), "spec", "gain_bits must be within"),
    (put_spec("segments", 2), "program", "segments must be within 1..2, not 3"),
    (put_spec("edge_bits", 9), "table.v0", "must have dtype I16, not I8"),
    (put("segments", -1), "codes", "must have shape"),
    (put("segments", True), "segments", "must be an integer"),
    (put("scalars", None), "scalars", "must be a JSON object"),
    (put("scalars", {}), "scalars", "must have exactly"),
    (put_scalar("initial", "SOMEWHERE"), "scalars.initial", "'SOMEWHERE'"),
    (put_scalar("initial", ["ZERO"]), "scalars.initial", "must be one of"),
    (put_scalar("initial_gain", 1.0), "scalars.initial_gain", "must be an integer"),
    (put_scalar("pixel_gain", 1 << 40), "program", "pixel_gain"),
    (put_scalar("pixel_gain", 10**30), "program", "pixel_gain"),
    (put("image_shape", [3]), "image_shape", "two integers"),
    (put("image_shape", [2, "3"]), "image_shape", "must be an integer"),
    (put("image_shape", [2, 2]), "program", "image_shape"),
    (put("image_shape", [-2, -3]), "program", "image_shape"),
    (put("image_shape", [2**32, 2**32]), "program", "image_shape"),
    (put("provenance", 7), "provenance", "must be a JSON object"),
    (put("digest", "0"), "digest", "not '0'"),
    (cut_tensor("codes"), "codes", "is missing"),
    (cut_tensor("table.v0"), "table.v0", "is missing"),
    (put_tensor("surprise", lambda _: np.zeros(1)), "surprise", "must not be in the file"),
    (put_tensor("codes", lambda a: a.astype("int16")), "codes", "must have dtype I8, not I16"),
    (put_tensor("codes", lambda a: a[:, :, :2]), "codes", "must have shape (3, 6, 4)"),
    (put_tensor("codes", set_item((1, 2, 0), -8)), "program", "codes[1, 2, 0]"),
    (put_tensor("codes", set_item((0, 0, 0), 7)), "program", "node 0 has no edge"),
    (put_tensor("codes", set_item((0, 2, 0), 7)), "digest", "for the tensors in the file"),
    (put_tensor("mask", set_item((0, 0), 2)), "mask", "mask[0, 0] must be within 0..1, not 2"),
    (put_tensor("visible", set_item(3, 2)), "program", "visible[3]"),
    (put_tensor("steps", set_item(0, 0)), "program", "steps[0]"),
    (put_tensor("table.v0", set_item(0, -128)), "program", "tables[v0]"),
])
def test_a_bad_field_is_named(model: Path, change: Callable[[Metadata, Tensors], None],
                              field: str, text: str) -> None:
    rewrite(model, change)
    with pytest.raises(ModelFileError) as caught:
        load(model)
    assert caught.value.field == field
    assert text in str(caught.value)


@pytest.mark.parametrize(("change", "field", "text"), [
    (cut_metadata("unrounded"), "unrounded.codes", "must not be in the file"),
    (put("unrounded", "0"), "unrounded", "for the tensors in the file, not '0'"),
    (put("unrounded", None), "unrounded", "not None"),
    (cut_tensor("unrounded.local_codes"), "unrounded.local_codes", "is missing"),
    (put_tensor("unrounded.codes", lambda a: a.astype("float32")), "unrounded.codes",
     "must have dtype F16, not F32"),
    (put_tensor("unrounded.codes", lambda a: a[:, 1:]), "unrounded.codes", "must have shape"),
    (put_tensor("unrounded.noise_gain", lambda a: a[1:]), "unrounded.noise_gain", "(3,), not (2,)"),
    (put_tensor("unrounded.codes", set_item((0, 0), 3)), "unrounded", "for the tensors"),
    (put_tensor("mask", set_item((5, 0), 0)), "unrounded.codes", "must have shape"),
])
def test_a_bad_field_of_the_real_parameters_is_named(
        real_model: Path, change: Callable[[Metadata, Tensors], None], field: str,
        text: str) -> None:
    rewrite(real_model, change)
    with pytest.raises(ModelFileError) as caught:
        load(real_model)
    assert caught.value.field == field
    assert text in str(caught.value)


def test_real_parameters_that_are_not_finite_are_refused(real_model: Path) -> None:
    def change(metadata: Metadata, tensors: Tensors) -> None:
        tensors["unrounded.noise_gain"][1] = np.nan
        metadata["unrounded"] = modelfile._digest_of({
            name: tensor for name, tensor in tensors.items() if name.startswith("unrounded.")})

    rewrite(real_model, change)
    with pytest.raises(ModelFileError, match=r"program: .*noise_gain\[1\] must be finite"):
        load(real_model)


def test_changed_provenance_breaks_the_checksum(model: Path) -> None:
    rewrite(model, put("provenance", {"rule": "better"}), seal=False)
    with pytest.raises(ModelFileError, match="checksum"):
        load(model)


@pytest.mark.parametrize(("data", "field"), [
    (b"", "file"),
    (b"PK\x03\x04 not safetensors", "file"),
    (to_safetensors({"a": np.zeros(1)}), "metadata"),
    (to_safetensors({"a": np.zeros(1)}, {"pendula": "{"}), "metadata"),
    (to_safetensors({"a": np.zeros(1)}, {"pendula": "[]"}), "metadata"),
    (to_safetensors({"a": np.zeros(1)}, {"pendula": '{"version": NaN}'}), "metadata"),
    (to_safetensors({"a": np.zeros(1)}, {"pendula": "[" * 100_000}), "metadata"),
    (to_safetensors({"a": np.zeros(1)}, {"pendula": "9" * 10_000}), "metadata"),
])
def test_foreign_files_are_refused(tmp_path: Path, data: bytes, field: str) -> None:
    path = tmp_path / "m.pendula"
    path.write_bytes(data)
    with pytest.raises(ModelFileError) as caught:
        load(path)
    assert caught.value.field == field


def test_other_kinds_of_path_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "none"):
        with pytest.raises(ModelFileError, match="file: must exist"):
            load(path)


def test_an_oversize_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "m.pendula"
    with path.open("wb") as file:
        file.truncate(modelfile.MAX_FILE_BYTES + 1)
    with pytest.raises(ModelFileError, match="at most"):
        load(path)


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    path = tmp_path_factory.mktemp("models") / "m.pendula"
    save(unrounded(small_program()), path)
    return path.with_name("damaged.pendula"), path.read_bytes()


def load_is_safe(path: Path, data: bytes) -> None:
    """Load `data`: the program of `intact`, or a typed error, and nothing else."""
    path.write_bytes(data)
    try:
        program = load(path)
    except ModelFileError:
        return
    assert same(program, unrounded(small_program()))


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_flipped_bits_never_pass_unnoticed(intact: tuple[Path, bytes], data: st.DataObject) -> None:
    path, original = intact
    damaged = bytearray(original)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(original) - 1))] ^= data.draw(st.integers(1, 255))
    load_is_safe(path, bytes(damaged))


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_cut_or_extended_files_never_pass_unnoticed(
        intact: tuple[Path, bytes], data: st.DataObject) -> None:
    path, original = intact
    end = data.draw(st.integers(0, len(original) - 1))
    path.write_bytes(original[:end])
    with pytest.raises(ModelFileError):
        load(path)
    load_is_safe(path, original + data.draw(st.binary(min_size=1, max_size=64)))


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_replaced_numbers_in_the_metadata_never_pass_unnoticed(
        intact: tuple[Path, bytes], data: st.DataObject) -> None:
    path, original = intact
    path.write_bytes(original)
    junk = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5),
                        lambda inner: st.lists(inner, max_size=3), max_leaves=4)

    def change(metadata: Metadata, _: Tensors) -> None:
        target = data.draw(st.sampled_from([metadata, metadata["spec"], metadata["scalars"]]))
        target[data.draw(st.sampled_from(sorted(target)))] = data.draw(junk)

    rewrite(path, change, seal=data.draw(st.booleans()))
    try:
        load(path)
    except ModelFileError:
        return
