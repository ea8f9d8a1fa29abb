"""The nouns, and the one place where values are reshaped. No I/O; imports nothing of ours."""
