"""Ways to reach into a model's decoder: catch the call that it gets, replace its attention, record what the attention
computes, or observe it from inside its backward pass.
"""
