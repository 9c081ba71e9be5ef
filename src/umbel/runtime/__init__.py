"""What the processes of a run share, whether its clients are simulated or real sites: how they begin, report and resume."""
