"""Many instances: their specifications, their registry, and the block they live in."""
