"""nano: the small promptable network for microscopy that ships with the package."""
