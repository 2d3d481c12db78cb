"""The plant beside what is published of real ones: figures, plots, one document (`plant-simulator
report`).
"""
