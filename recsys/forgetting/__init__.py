"""A listener's rows, found and erased in what the workspace holds: docs/forgetting.md.

A file is rewritten beside itself and renamed, so that it is whole at any moment. Whatever is interrupted is run again:
what is gone already is not found, and the manifests are made to say what the tables hold.
"""
