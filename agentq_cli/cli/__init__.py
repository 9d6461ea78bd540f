"""The command line: the application built from the table of options, its help, exit codes and completion."""
