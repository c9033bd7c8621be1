"""What a scenario lets the planner try: layouts, drafts, pools, engine settings."""
