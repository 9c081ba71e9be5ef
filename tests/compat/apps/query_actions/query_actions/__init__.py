"""query_actions: Questions and actions of the app's own, without a strategy."""
