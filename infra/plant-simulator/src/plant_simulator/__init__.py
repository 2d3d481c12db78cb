"""A plant that stands in for the real one: hidden physics, instruments, a steelmaker."""

__version__ = "0.1.0"
