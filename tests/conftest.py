"""Settings of the whole suite."""

from hypothesis import settings

# Examples are a function of the test alone, so that a run can be repeated.
settings.register_profile("pendula", derandomize=True, deadline=None, database=None)
settings.load_profile("pendula")
