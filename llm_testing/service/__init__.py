"""The one door: page, REST, command line and agents call the same functions of `Lab` with the same types."""
