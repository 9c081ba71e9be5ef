"""Six sites learn one model of health care use; no record leaves its site."""
