"""How the entropy of relevancy maps relates to right and wrong answers: entropies, thresholds, intervals, and the
calibration file that holds them.
"""
