"""The command line: `main` has the table of commands, and each command a module of its own."""
