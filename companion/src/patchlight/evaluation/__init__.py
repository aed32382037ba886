"""Evaluation of a head on a dataset: a table that compares the head's maps with its teacher's, a summary, and a
calibration derived from the table.
"""
