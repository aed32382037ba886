"""Evaluation of a head on a data set: the table of its maps next to those of its teacher, the summary, and the
calibration derived from it.
"""
