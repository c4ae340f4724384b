"""The facts and triples of an output in the forms of other tools. Plain Python: rows in, text out."""
