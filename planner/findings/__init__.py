"""What a report says beside the plan: curves, sensitivity, ways to pay, owned servers."""
