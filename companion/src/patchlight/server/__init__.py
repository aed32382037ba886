"""The companion's HTTP server: it parses, queues and streams, and handles no tensors. `app.create_app` assembles it."""
