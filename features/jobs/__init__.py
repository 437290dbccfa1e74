"""The Spark jobs between the canonical tables and the training tables, in the order of the data:

    clean        the same event twice, lists that a show holds several times over, tracks that a playlist holds twice
    sessions     events -> sessions
    statistics   tracks and listeners as of each day
    split        train, valid and test
    sequences    the vocabulary, and sessions as rows of its indices
    content      audio features, tags and text of each track, from all sources

`plan` says what is to be made, `build` runs the jobs in that order and writes the data set, `card` shows it. A job is a
function from DataFrame to DataFrame; it neither reads nor writes files.
"""
