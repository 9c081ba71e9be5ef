"""An app for the tests of the SuperNode."""
