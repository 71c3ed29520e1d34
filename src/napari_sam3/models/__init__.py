"""Promptable models behind one protocol; the only place that knows torch."""
