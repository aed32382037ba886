"""Measurements behind the published figures: how well methods find objects, their time and memory, and the cost of
serving.
"""
