"""Measurements behind the published figures: how well methods find objects, what they cost in time and memory, and
what serving costs.
"""
