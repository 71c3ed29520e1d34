"""How quick nano is, beside what one would use otherwise; not part of the package."""
