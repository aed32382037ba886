"""Runs, explanations and unembedding rows as Arrow IPC streams, which the server sends and the page reads."""
