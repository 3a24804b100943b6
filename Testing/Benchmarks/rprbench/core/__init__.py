"""What every experiment needs: cases, rows, methods, and where figures come from."""
