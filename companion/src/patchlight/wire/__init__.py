"""Runs, explanations and vocabulary rows as Arrow IPC streams: what the server sends and the page reads."""
