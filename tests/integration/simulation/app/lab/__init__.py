"""An app that shows at once when something went wrong with it."""
