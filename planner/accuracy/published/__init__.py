"""What others published of serving under a latency target, beside what the planner would promise."""
