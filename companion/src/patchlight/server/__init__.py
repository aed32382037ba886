"""The companion's HTTP side: it parses, queues and streams, and knows no tensors. `app.create_app` puts it together."""
