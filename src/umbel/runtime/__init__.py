"""Start-up, reporting and resumption of run processes, in simulations and deployments."""
