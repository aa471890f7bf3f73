"""Tactful beside what a team would build or install instead, all measured in one run.

Each peer is a program of its own in `programs/`, with its requirements in its head, and runs in
an environment of its own: nothing that a peer needs is ever installed beside Tactful. All get the
same mails, the same templates, the same SMTP server and the same three rules; where a setting
trades safety for speed, a peer has the fast one. docs/benchmarks.md says what can be compared and
what cannot.

    python -m benchmarks.peers [--count 20000] [--only NAME,...] [--json FILE]
"""
