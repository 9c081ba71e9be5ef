"""What the SuperLink does: the domain's decisions, carried out in transactions of the store."""
