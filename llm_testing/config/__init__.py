"""What can be chosen: every option declared once, presets as data, and what follows from a config."""
