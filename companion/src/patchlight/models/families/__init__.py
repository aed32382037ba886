"""The supported model families. Each module turns one question into inputs and says which image tokens stand for
which part of the picture; `registry` picks the family of a model.
"""
