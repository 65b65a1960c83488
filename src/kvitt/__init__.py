"""kvitt: a disbursement hub. Decisions about money come in, the smallest correct order goes to the rail, once."""

__version__ = "0.1.0"
