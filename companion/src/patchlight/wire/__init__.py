"""Runs, explanations and vocabulary rows as Arrow IPC streams, which the server sends and the page reads."""
