"""What lets apps run that were written for another platform."""
