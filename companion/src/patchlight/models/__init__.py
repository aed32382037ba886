"""Models: loading from the Hugging Face Hub or a folder, turning a question into model inputs, greedy and sampled
decoding with last hidden states, and the text of each answer token.
"""
