"""FastRM heads: the head itself and its folded form for the browser, and the steps that make one. Those are reading a
data set, collecting labelled samples in shards, and training.
"""
