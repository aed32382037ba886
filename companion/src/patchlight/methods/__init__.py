"""Explanation methods: relevancy maps for the tokens of a finished answer. `explain.explain` runs any of them within a
memory budget; each method has its own module.
"""
