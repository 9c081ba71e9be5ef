"""mods_order: Mods of the app and of one function."""
