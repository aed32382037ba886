"""Hooks into a model's decoder: capture the call it receives, replace its attention, record the attention as it is
computed, or observe it during the backward pass.
"""
