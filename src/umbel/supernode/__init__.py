"""The SuperNode: receives messages from a SuperLink, runs ClientApps next to the site's data, and sends the replies."""
