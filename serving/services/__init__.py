"""The services of the protos: requests into the terms of a bundle, outcomes into responses."""
