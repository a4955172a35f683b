"""What is physically there to reach? Each file here is one floor, with nothing of ours above it."""
