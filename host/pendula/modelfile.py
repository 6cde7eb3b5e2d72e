"""The model file: a program in safetensors, with one JSON document as metadata.

Everything is data: nothing in a file is executed, and every number is checked on loading. Equal
programs with equal provenance give equal bytes. The real parameters that codes were rounded from
may be in a file or not; couplings of absent edges are left out of them.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_safetensors

from pendula.contract import ARITHMETIC_ID, ArraySpec, InitialState, Interval, OffsetGraph
from pendula.contract.digest import canonical_json
from pendula.contract.memory import STEPS_BITS
from pendula.errors import ContractError, ModelFileError, ProgramError
from pendula.files import replacing
from pendula.program import UNROUNDED, Program, check_array

__all__ = ["FORMAT_VERSION", "MAX_FILE_BYTES", "SUFFIX", "load", "save", "shipped_models"]

FORMAT_VERSION = 1
MAX_FILE_BYTES = 1 << 28
SUFFIX = ".pendula"

_METADATA = "pendula"        # the one metadata entry, so that the header has one spelling
_TABLE = "table."            # prefix of the tensors that hold columns of the table memory
_UNROUNDED = "unrounded"     # their digest in the document, and prefix of the tensors
_SAFETENSORS_DTYPES = {"int8": "I8", "int16": "I16", "int32": "I32", "uint8": "U8",
                       "uint16": "U16", "uint32": "U32", "float16": "F16", "float32": "F32"}

Layout = dict[str, tuple[tuple[int, ...], str]]
"""Tensor name to shape and NumPy dtype."""


def _signed(bits: int) -> str:
    return f"int{max(8, 1 << (bits - 1).bit_length())}"


def _unsigned(bits: int) -> str:
    return f"u{_signed(bits)}"


def _layout(spec: ArraySpec, segments: int) -> Layout:
    """Return what the tensors must be: the smallest dtypes that hold the spec's formats."""
    N, K, M = spec.nodes, len(spec.offsets), len(spec.physics.basis)
    gain = _signed(spec.gain_bits)
    return {
        "codes": ((segments, N, K), _signed(spec.code_bits)),
        "local_codes": ((segments, N, M), _signed(spec.local_code_bits)),
        "steps": ((segments,), _unsigned(STEPS_BITS)),
        "coupling_gain": ((segments,), gain),
        "local_gains": ((segments, M), gain),
        "noise_gain": ((segments,), gain),
        "visible": ((N,), _unsigned(1)),
        "mask": ((N, K), _unsigned(1)),
        **{_TABLE + name: ((spec.table_rows,), _signed(width))
           for name, (_, width) in spec.columns.items()},
    }


def _unrounded_layout(spec: ArraySpec, segments: int, edges: int) -> Layout:
    """Return what the tensors of real parameters must be: couplings are those of edges alone."""
    shapes = {"codes": (segments, edges), "noise_gain": (segments,),
              "local_codes": (segments, spec.nodes, len(spec.physics.basis))}
    return {f"{_UNROUNDED}.{name}": (shapes[name], dtype) for name, dtype in UNROUNDED.items()}


# Saving

def _digest_of(tensors: Mapping[str, npt.NDArray[Any]]) -> str:
    sha = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        sha.update(f"{name}{tensor.shape}{tensor.dtype.str}".encode())
        sha.update(tensor.tobytes())
    return sha.hexdigest()


def _unrounded_tensors(program: Program) -> dict[str, npt.NDArray[Any]]:
    present = np.array(program.graph.mask, dtype=bool)
    return {f"{_UNROUNDED}.{name}": np.ascontiguousarray(
                values[:, present] if name == "codes" else values)
            for name, values in program.unrounded.items()}


def _checksum(document: Mapping[str, Any]) -> str:
    rest = {name: value for name, value in document.items() if name != "checksum"}
    return hashlib.sha256(canonical_json(rest)).hexdigest()


def _document(program: Program) -> dict[str, Any]:
    """Return all of a program that is not a tensor; `digest` covers the tensors."""
    shape = program.image_shape
    document: dict[str, Any] = {
        "version": FORMAT_VERSION,
        "arithmetic": ARITHMETIC_ID,
        "spec": program.spec.describe(),
        "segments": program.segments,
        "scalars": {"initial": program.initial.name, "initial_gain": program.initial_gain,
                    "pixel_gain": program.pixel_gain, "pixel_offset": program.pixel_offset},
        "image_shape": list(shape) if shape else None,
        "provenance": program.provenance,
        "digest": program.digest,
    }
    if program.unrounded:
        document[_UNROUNDED] = _digest_of(_unrounded_tensors(program))
    return document | {"checksum": _checksum(document)}


def save(program: Program, path: str | os.PathLike[str]) -> None:
    """Write a program to a model file, whole or not at all.

    Parameters
    ----------
    program : Program
        Its provenance must be plain JSON data.
    path : path
        File to write or to replace; the usual suffix is ``.pendula``.

    Raises
    ------
    ModelFileError
        If the provenance is no JSON or the file cannot be written.
    """
    arrays = program.arrays()
    tensors = {name: arrays[name].astype(dtype, order="C")      # as safetensors reads memory
               for name, (_, dtype) in _layout(program.spec, program.segments).items()}
    tensors |= _unrounded_tensors(program)
    try:
        metadata = canonical_json(_document(program)).decode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelFileError("provenance", f"must be plain JSON data: {error}") from error
    data = to_safetensors(tensors, {_METADATA: metadata})
    if len(data) > MAX_FILE_BYTES:
        raise ModelFileError("file", f"must be at most {MAX_FILE_BYTES} bytes, not {len(data)}")
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(data)
    except OSError as error:
        reason = f"cannot write {os.fspath(path)!r}: {error.strerror}"
        raise ModelFileError("file", reason) from error


# Loading

def shipped_models() -> dict[str, Path]:
    """Return the models that come with the package, by name."""
    folder = Path(str(resources.files("pendula"))) / "models"
    return {path.stem: path for path in sorted(folder.glob(f"*{SUFFIX}"))}


def load(path_or_name: str | os.PathLike[str]) -> Program:
    """Read a program from a model file.

    Parameters
    ----------
    path_or_name : path or str
        A file; where there is none of that name, a model that comes with the package.

    Raises
    ------
    ModelFileError
        If there is neither, or the file is damaged, foreign, or made for another contract. The
        message names the field.
    """
    path, shipped = Path(path_or_name), shipped_models()
    if not path.is_file():
        if os.fspath(path_or_name) not in shipped:
            raise ModelFileError(
                "file", f"must exist or be one of the shipped models ({', '.join(shipped)}), "
                f"not {os.fspath(path_or_name)!r}")
        path = shipped[os.fspath(path_or_name)]
    try:
        if (size := path.stat().st_size) > MAX_FILE_BYTES:
            raise ModelFileError("file", f"must be at most {MAX_FILE_BYTES} bytes, not {size}")
        with safe_open(path, framework="numpy") as file:
            return _read(file)
    except OSError as error:
        raise ModelFileError("file", f"cannot read {os.fspath(path)!r}: {error}") from error
    except SafetensorError as error:
        raise ModelFileError("file", f"must be a whole safetensors file: {error}") from error


@contextmanager
def _blame(field: str) -> Iterator[None]:
    """Turn what the contract and the program say about bad values into errors of `field`."""
    try:
        yield
    except (ContractError, ProgramError) as error:
        raise ModelFileError(field, str(error)) from error


def _read(file: safe_open) -> Program:
    document = _read_document(file.metadata() or {})
    with _blame("spec"):
        spec = ArraySpec.from_description(document["spec"])
    segments = _integer("segments", document["segments"])
    layout = _layout(spec, segments)
    _check_names(file, {*layout, *(_unrounded_layout(spec, segments, 0)
                                   if _UNROUNDED in document else ())})
    arrays = _read_tensors(file, layout)
    with _blame("mask"):
        mask = check_array("mask", arrays.pop("mask"), (spec.nodes, len(spec.offsets)),
                           Interval(0, 1))
        graph = OffsetGraph(spec.nodes, spec.offsets, tuple(map(tuple, mask.astype(bool).tolist())))
    tables = {name: arrays.pop(_TABLE + name) for name in spec.columns}
    unrounded = _read_unrounded(file, document, spec, mask) if _UNROUNDED in document else {}
    with _blame("program"):
        program = Program(
            spec=spec, graph=graph, tables=tables, image_shape=_read_image_shape(document),
            provenance=_mapping("provenance", document["provenance"]), unrounded=unrounded,
            **arrays, **_read_scalars(document))
    if program.digest != document["digest"]:
        raise ModelFileError("digest", f"must be {program.digest} for the tensors in the file, "
                                       f"not {document['digest']!r}")
    return program


def _reject(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _read_document(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Return the JSON document, its version, arithmetic and checksum verified, its fields known."""
    if _METADATA not in metadata:
        raise ModelFileError("metadata", f"must have the entry {_METADATA!r}, "
                                         f"not {sorted(metadata)}")
    try:
        document = _mapping("metadata", json.loads(metadata[_METADATA], parse_constant=_reject))
    except (ValueError, RecursionError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError("metadata", f"must be JSON: {error}") from error
    version = _integer("version", document.get("version"))
    if version != FORMAT_VERSION:
        raise ModelFileError("version", f"must be {FORMAT_VERSION}, not {version}: "
                                        "use the release of pendula that wrote the file")
    if document.get("arithmetic") != ARITHMETIC_ID:
        raise ModelFileError("arithmetic", f"must be {ARITHMETIC_ID}, not "
                                           f"{document.get('arithmetic')!r}: train the model again")
    expected = {"version", "arithmetic", "spec", "segments", "scalars", "image_shape", "provenance",
                "digest", "checksum"}
    if set(document) - {_UNROUNDED} != expected:
        raise ModelFileError("metadata", f"must have exactly the fields {sorted(expected)}, "
                                         f"not {sorted(document)}")
    if document["checksum"] != _checksum(document):
        raise ModelFileError("checksum", f"must be {_checksum(document)} for the metadata in the "
                                         f"file, not {document['checksum']!r}")
    return document


def _mapping(field: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ModelFileError(field, f"must be a JSON object, not {type(value).__name__}")
    return value


def _integer(field: str, value: Any) -> int:
    if type(value) is not int:
        raise ModelFileError(field, f"must be an integer, not {value!r}")
    return value


def _read_scalars(document: Mapping[str, Any]) -> dict[str, Any]:
    scalars = dict(_mapping("scalars", document["scalars"]))
    expected = {"initial", "initial_gain", "pixel_gain", "pixel_offset"}
    if set(scalars) != expected:
        raise ModelFileError("scalars", f"must have exactly {sorted(expected)}, "
                                        f"not {sorted(scalars)}")
    initial = scalars.pop("initial")
    names = list(InitialState.__members__)
    if initial not in names:
        raise ModelFileError("scalars.initial", f"must be one of {names}, not {initial!r}")
    return {"initial": InitialState[initial],
            **{name: _integer(f"scalars.{name}", value) for name, value in scalars.items()}}


def _read_image_shape(document: Mapping[str, Any]) -> tuple[int, int] | None:
    shape = document["image_shape"]
    if shape is None:
        return None
    if not isinstance(shape, list) or len(shape) != 2:
        raise ModelFileError("image_shape", f"must be null or two integers, not {shape!r}")
    return _integer("image_shape", shape[0]), _integer("image_shape", shape[1])


def _check_names(file: safe_open, expected: set[str]) -> None:
    names = set(file.keys())
    for name in sorted(names ^ expected):
        raise ModelFileError(name, "must not be in the file" if name in names
                             else "must be in the file, but is missing")


def _read_tensors(file: safe_open, layout: Layout) -> dict[str, npt.NDArray[Any]]:
    """Return the tensors, refusing any of another dtype or shape before it is read."""
    for name, (shape, dtype) in layout.items():
        found = file.get_slice(name)
        if found.get_dtype() != _SAFETENSORS_DTYPES[dtype]:
            raise ModelFileError(name, f"must have dtype {_SAFETENSORS_DTYPES[dtype]}, "
                                       f"not {found.get_dtype()}")
        if tuple(found.get_shape()) != shape:
            raise ModelFileError(name, f"must have shape {shape}, not {tuple(found.get_shape())}")
    return {name: np.asarray(file.get_tensor(name)) for name in layout}


def _read_unrounded(file: safe_open, document: Mapping[str, Any], spec: ArraySpec,
                    mask: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
    """Return the real parameters, couplings of absent edges put back as zeros."""
    layout = _unrounded_layout(spec, document["segments"], int(mask.sum()))
    tensors = _read_tensors(file, layout)
    if (found := _digest_of(tensors)) != document[_UNROUNDED]:
        raise ModelFileError(_UNROUNDED, f"must be {found} for the tensors in the file, "
                                         f"not {document[_UNROUNDED]!r}")
    of_edges = tensors[f"{_UNROUNDED}.codes"]
    codes = np.zeros((len(of_edges), *mask.shape), of_edges.dtype)
    codes[:, mask.astype(bool)] = of_edges
    return {name: tensors[f"{_UNROUNDED}.{name}"] for name in UNROUNDED} | {"codes": codes}
