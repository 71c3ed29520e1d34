"""SAM 3's click path in plain torch: trunk, neck, prompt encoder, mask decoder."""
