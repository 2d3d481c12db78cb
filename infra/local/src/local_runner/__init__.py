"""Starts the whole product on one machine without Docker, and stops it again."""
