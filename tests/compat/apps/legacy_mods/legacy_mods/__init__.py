"""legacy_mods: Mods and a workflow in the older API."""
