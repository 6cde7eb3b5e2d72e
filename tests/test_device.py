"""Opening devices by URL; more under tests/link, tests/twin and tests/sim."""

import pytest

import pendula
from pendula.errors import UrlError


@pytest.mark.parametrize("url", [
    "replay://a\0b", "replay://a%00b", "tcp://h:1?token=a%00", "serial:///dev/x%00",
    "twin://?record=a%00"])
def test_zero_bytes_are_refused(url):
    with pytest.raises(UrlError, match="must be without zero bytes, not"):
        pendula.open(url)


@pytest.mark.parametrize("url", ["tcp://[x", "tcp://[x]:1", "tcp://a\N{FULLWIDTH SOLIDUS}b:1"])
def test_what_is_no_url_is_refused(url):
    with pytest.raises(UrlError, match="device URL must be one, not"):
        pendula.open(url)
