"""`segue evaluate`: every simple baseline and every neural bundle of a data set on the same test rows.

tuned.py      the baselines, tuned on validation (kept, so that the second run is quick)
systems.py    baselines and bundles, scored on test in the static and the live protocol
evaluate.py   the order of the work
report.py     what is written: evaluation.json
table.py      what is shown; plot.py: what is drawn
"""
