"""Templates: a small, safe part of Jinja2, from source to subject, text and HTML.

`sandbox` is the language and its limits, `library` renders and chooses, `plaintext` makes the text
part of a message that was only written in HTML.
"""
