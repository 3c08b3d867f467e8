"""One instance: its connection loop, its probes, its handle."""
