"""The ML pipeline: from a plant's heats to a gated, registered and released model."""
