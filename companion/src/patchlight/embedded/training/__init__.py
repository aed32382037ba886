"""The embedded model and its training: architecture, vocabulary, packed batches, losses and stages."""
