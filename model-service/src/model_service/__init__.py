"""Recommends ladle additions for a heat of steel and predicts their result."""

__version__ = "0.1.0"
