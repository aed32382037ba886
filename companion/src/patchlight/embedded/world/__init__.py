"""The embedded model's synthetic world: scenes sampled from a seed, their rendering, and questions about them. Answer
words are labelled with the objects that they name.
"""
