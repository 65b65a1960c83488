"""Promises that hold for arbitrary input, told against models that know nothing of kvitt's own code."""
