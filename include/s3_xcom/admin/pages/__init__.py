"""The pages of the UI, for any web framework: :class:`.site.Site` answers requests, a view passes them on."""
