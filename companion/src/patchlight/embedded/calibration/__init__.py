"""The embedded model's calibration: question sets about unseen scenes, answered by the exported graphs, and the data
set folder that the page shows.
"""
