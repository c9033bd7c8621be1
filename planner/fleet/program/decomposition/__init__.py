"""How large programs are solved: by kind, columns, covers, neighbourhoods."""
