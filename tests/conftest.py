"""Settings of the whole suite."""

from hypothesis import HealthCheck, settings

# Examples are a function of the test alone, so that a run can be repeated; and no verdict hangs on
# how busy the machine is.
settings.register_profile("pendula", derandomize=True, deadline=None, database=None,
                          suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("pendula")
