"""One JSON spelling, one hash."""

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pendula.contract.digest import DIGEST_BYTES, canonical_json, digest

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)


def shuffled(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: shuffled(item) for key, item in reversed(value.items())}
    return [shuffled(item) for item in value] if isinstance(value, list) else value


@given(plain)
def test_order_of_keys_does_not_matter(value: Any) -> None:
    assert canonical_json(shuffled(value)) == canonical_json(value)


@given(plain)
def test_json_comes_back(value: Any) -> None:
    assert json.loads(canonical_json(value)) == value


def test_spelling() -> None:
    assert canonical_json({"b": [1, 2.5], "a": "ü"}) == b'{"a":"\\u00fc","b":[1,2.5]}'


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_without_a_json_spelling_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(value)


def test_digest_is_sha256_in_hexadecimal() -> None:
    assert digest({}) == hashlib.sha256(b"{}").hexdigest()
    assert len(bytes.fromhex(digest({}))) >= DIGEST_BYTES
