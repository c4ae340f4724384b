"""What we got: parse the answer, ground it in the text, normalise it, give it an identity."""
