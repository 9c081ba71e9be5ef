"""An app that shows at once when something was done twice or in another order."""
