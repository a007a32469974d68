"""What can be wrapped, one module each."""
