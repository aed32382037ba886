"""Measurements behind the published figures: how well methods find objects, how much time and memory methods need, and
the cost of serving.
"""
