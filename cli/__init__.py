"""The command line: parse, call one library function, say what was done."""
