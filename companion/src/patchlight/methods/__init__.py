"""Explanation methods: relevancy maps of the tokens of a finished answer. `explain.explain` runs any of them within a
memory budget; each module implements one method.
"""
