"""Authentication and authorisation of users, SuperExecs, tasks and nodes."""
