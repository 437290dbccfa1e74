"""The core of Segue: what a recommendation is. Imports none of features, training and serving."""
