"""Models that see the whole image at once, in one square view: SAM and its family."""
