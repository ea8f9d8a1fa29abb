"""Decide. Pure pandas: frames and values in, frames and values out. No clock, no randomness, no I/O."""
