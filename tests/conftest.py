"""Settings of the whole suite."""

import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# Examples are a function of the test alone, so that a run can be repeated; and no verdict hangs on
# how busy the machine is.
settings.register_profile("pendula", derandomize=True, deadline=None, database=None,
                          suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("pendula")


@pytest.fixture(autouse=True, scope="session")
def interruptible() -> Iterator[None]:
    """Take Ctrl-C even where the shell ignores it, as it does for jobs in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
