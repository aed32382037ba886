"""The embedded model, which the page runs in the browser. `pipeline` builds it from nothing: its world, training, head,
export, reports and sample runs.
"""
