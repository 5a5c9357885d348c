"""Why this caption: attention maps as a page, a sheet or a report, and the numbers inside."""
