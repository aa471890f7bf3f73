"""Proof: what `docs/guarantees.md` promises, tried on real processes, files and mail servers.

    python -m proof --tier small --only kill,power --seed 7 --json proof.json

A scenario is one module, and one line in `catalogue`. It breaks something on purpose, again and
again; then `tactful.verify` judges the store and lays the mail server's log beside it. What was
found is in the words of that judge.
"""
