"""Models as Patchlight reads them: loading from the hub or a folder, how a question becomes inputs, greedy and sampled
decoding with last hidden states, and the text of each answer token.
"""
