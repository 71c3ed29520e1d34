"""Qt on top of the viewer ring: thin, everything it does goes through `Session`."""
