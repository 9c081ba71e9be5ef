"""Statistics over the records of six sites, of which no record leaves its site."""
