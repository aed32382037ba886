"""The embedded model, which the page runs in the browser.

`pipeline` builds it from scratch: scenes, training, head, export, reports and recorded runs.
"""
