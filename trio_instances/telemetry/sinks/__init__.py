"""Where events go: each sink is one file, and `feed` runs them so that none can do harm."""
