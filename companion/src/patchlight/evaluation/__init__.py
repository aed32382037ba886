"""Evaluation of a head on a dataset: the table of its maps next to those of its teacher, the summary, and the
calibration derived from the table.
"""
