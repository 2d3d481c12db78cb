"""Reference policies: what could be reached with more knowledge than any recommender has, and with less.

They stand inside the plant, so they may look behind its walls; each says what it knows.
"""
