"""Collects completed heats into the lake exactly once, and shows how the model and the plant are doing."""

__version__ = "0.1.0"
