"""The companion's HTTP server: it parses requests, queues runs and streams their rows, but handles no tensors.

`app.create_app` assembles the server.
"""
