"""The embedded model's calibration: questions about unseen scenes, the exported graphs' answers, and the dataset folder
that the page shows.
"""
