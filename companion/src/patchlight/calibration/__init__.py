"""Calibration: how the entropy of relevancy maps relates to right and wrong answers. Entropies, thresholds, intervals,
and the calibration file.
"""
