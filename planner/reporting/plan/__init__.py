"""How a plan is written: terminal, document, spreadsheet."""
