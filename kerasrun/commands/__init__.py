"""One verb, one file: parse, call, print.

The file's function of the same name is the command; `GROUP` and `ORDER` say where `kerasrun --help` lists it.
"""
