"""FastRM heads: the head, its folded form for the browser, and the steps to make one (reading a dataset, collecting
labelled samples in shards, training).
"""
