"""The synthetic world of the embedded model: scenes drawn from a seed, their rendering, and questions about them with
the objects that each answer word names.
"""
