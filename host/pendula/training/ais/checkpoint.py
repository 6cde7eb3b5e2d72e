"""The state of a training in one file, replaced as a whole: what a killed training goes on from."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from pendula.contract.digest import canonical_json
from pendula.errors import CheckpointError
from pendula.files import replacing

__all__ = ["read_checkpoint", "write_checkpoint"]

_METADATA = "pendula"
_MAX_BYTES = 1 << 28

Tree = TypeVar("Tree")


def _names(tree: Any) -> list[str]:
    return [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(tree)]


def write_checkpoint(path: Path, identity: Mapping[str, Any], state: Any) -> None:
    """Write a tree of arrays, and what it belongs to.

    Raises
    ------
    CheckpointError
        If the file cannot be written; the one before it is whole then.
    """
    leaves = [np.asarray(leaf) for leaf in jax.tree_util.tree_leaves(state)]
    data = save(dict(zip(_names(state), leaves, strict=True)),
                {_METADATA: canonical_json(dict(identity)).decode()})
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(data)
    except OSError as error:
        raise CheckpointError(f"checkpoint {path} must be writable: {error.strerror}") from error


def read_checkpoint(path: Path, identity: Mapping[str, Any], like: Tree) -> Tree:
    """Read a tree of arrays of the same structure, shapes and dtypes as `like`.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, or belongs to something else; the message says to what.
    """
    try:
        if (size := os.stat(path).st_size) > _MAX_BYTES:
            raise CheckpointError(f"checkpoint {path} must be at most {_MAX_BYTES} bytes, "
                                  f"not {size}")
        with safe_open(path, framework="numpy") as file:
            _check_identity(path, (file.metadata() or {}).get(_METADATA, ""), identity)
            leaves = [_leaf(path, file, name, np.asarray(leaf)) for name, leaf in
                      zip(_names(like), jax.tree_util.tree_leaves(like), strict=True)]
    except OSError as error:
        raise CheckpointError(f"checkpoint {path} must be readable: {error.strerror}: "
                              "leave out --resume to start anew") from error
    except SafetensorError as error:
        raise CheckpointError(f"checkpoint {path} must be a whole safetensors file: {error}: "
                              "delete it") from error
    return jax.tree_util.tree_unflatten(jax.tree_util.tree_structure(like), leaves)


def _check_identity(path: Path, text: str, identity: Mapping[str, Any]) -> None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise CheckpointError(f"checkpoint {path} must say what it belongs to: delete it")
    expected = json.loads(canonical_json(dict(identity)))
    for name in sorted(expected.keys() | found.keys()):
        if found.get(name) != expected.get(name):
            raise CheckpointError(
                f"checkpoint {path} must have {name} {expected.get(name)!r}, "
                f"not {found.get(name)!r}: delete it, or repeat the command that wrote it")


def _leaf(path: Path, file: safe_open, name: str, like: np.ndarray) -> np.ndarray:
    if name not in file.keys():         # noqa: SIM118 (a safe_open is no mapping)
        raise CheckpointError(f"checkpoint {path} must hold {name}: delete it")
    found, kind = file.get_slice(name), f"{like.dtype.kind.upper()}{8 * like.dtype.itemsize}"
    dtype, shape = found.get_dtype(), tuple(found.get_shape())
    if (dtype, shape) != (kind, like.shape):        # some types are none that NumPy has
        raise CheckpointError(f"{name} in checkpoint {path} must be {kind}{like.shape}, "
                              f"not {dtype}{shape}: delete it")
    return np.asarray(file.get_tensor(name))
