"""The command line: flags made from the options, progress on stderr, a JSON object on stdout where it is asked for."""
