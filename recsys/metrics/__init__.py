"""What is measured. One file a family, each with formula, averaging rule and a doctest that can be checked by hand."""
