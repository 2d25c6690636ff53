"""A checked file's text, to the byte: decoding, encoding back, and offsets turned into rows and columns."""
