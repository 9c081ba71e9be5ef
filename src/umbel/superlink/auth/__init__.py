"""Who may do what: the tokens of people, SuperExecs and tasks."""
