"""What the real tensorboard package reads from a folder of event files, as JSON; runs in the environment that
test_report.py makes.
"""
import json
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

accumulator = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0})
accumulator.Reload()
scalars = {tag: [[e.step, e.wall_time, e.value] for e in accumulator.Scalars(tag)]
           for tag in accumulator.Tags()["scalars"]}
json.dump({"file_version": accumulator.file_version, "scalars": scalars}, sys.stdout)
