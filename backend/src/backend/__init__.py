"""The backend: what the steelmaker sees, what the plant tells, what the lake is built from."""

__version__ = "0.1.0"
