"""Options, numbers and completion that several commands share."""
