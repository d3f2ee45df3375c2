"""Pages of the UI, for any web framework: :class:`.site.Site` answers requests that a view passes on."""
