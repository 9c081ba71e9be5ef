"""The agent of a site: it takes messages from a SuperLink, has its ClientApps serve them, and sends their replies."""
