"""Pure state machines: state + event in, new state + decision out. No clock, no I/O, no randomness."""
