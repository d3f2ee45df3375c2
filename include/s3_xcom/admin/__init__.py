"""Tools for operators: the command line, the sweep, and previews of values."""
