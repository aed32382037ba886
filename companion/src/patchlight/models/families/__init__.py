"""The supported model families. Each module turns a question into model inputs and maps every image token to the part
of the image it covers; `registry` selects the family of a model.
"""
