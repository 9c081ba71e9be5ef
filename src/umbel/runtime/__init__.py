"""Start-up, reporting and resumption of the processes of a run, for simulated clients and for real sites."""
