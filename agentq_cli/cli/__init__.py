"""The command line: its application built from the table of options, help, exit codes, pages and completion."""
