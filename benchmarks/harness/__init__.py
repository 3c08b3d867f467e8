"""Running workloads, and showing what came of it; knows nothing of what they do."""
