"""What a person reads about the imported data before anything is trained on them."""
