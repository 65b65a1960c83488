"""Promises that hold for arbitrary input, told against models that know nothing of kvitt's own code."""

from hypothesis import HealthCheck, settings

# The same examples in every run, so that a red test is red for everybody; how long one takes says nothing on a shared machine.
settings.register_profile(
    "ci", deadline=None, derandomize=True, database=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
