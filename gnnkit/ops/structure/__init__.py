"""Graphs as the kernels read them, and what is made once per graph."""
