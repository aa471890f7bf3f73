"""Runs examples/celery_tasks.py as a worker would, in this process; prints what came of it."""

import json
import runpy
import sys

tasks = runpy.run_path(sys.argv[1], run_name="celery_tasks")
tasks["app"].conf.task_always_eager = True
ship = tasks["ship"]
said = {
    "first": ship.apply(("7", "ada@example.com"), task_id="t-1").get(),
    "again": ship.apply(("7", "ada@example.com"), task_id="t-1").get(),
    "failed": ship.apply(("seven", "ada@example.com"), task_id="t-2").state,
}
tasks["tactful"].close()
print(json.dumps(said))
