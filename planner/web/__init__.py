"""The planner in a browser: one page, a JSON API behind it, and a static export of both."""
